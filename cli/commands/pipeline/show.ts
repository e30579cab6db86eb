import { PipelineRun, type StepSummary } from "../../../controller/index.js";
import type { Handler } from "../../call.js";
import { tableWidth, type View } from "../../output/output.js";
import { age } from "../../output/quantities.js";
import { renderTable } from "../../output/table.js";
import { shortId, stateWord } from "../../output/words.js";
import { findTask } from "../../references.js";

/** A run with its steps, as it is printed. */
export interface RunView {
  id: string;
  name: string;
  project: string;
  number: number | undefined;
  status: string;
  createdAt: string;
  by: string;
  steps: StepSummary[];
}

export const RUN_VIEW: View<RunView> = {
  kind: "pipeline-run",
  name: ({ id }) => id,
  empty: "no runs of pipelines: navvy pipeline run FILE",
  columns: [
    { title: "ID", value: ({ id }) => shortId(id) },
    { title: "PIPELINE", value: ({ name }) => name, isFlexible: true },
    { title: "RUN", value: ({ number }) => (number === undefined ? "–" : `#${number}`), align: "right" },
    { title: "STATE", value: ({ status }) => stateWord(status) },
    { title: "STEPS", value: ({ steps }) => progressOf(steps), align: "right" },
    { title: "PROJECT", value: ({ project }) => project },
    { title: "AGE", value: ({ createdAt }) => age(createdAt), align: "right" },
    { title: "BY", value: ({ by }) => by, isWide: true },
  ],
};

/** `navvy pipeline show RUN` */
export const show: Handler<[string]> = async (call, reference) => {
  const run = await PipelineRun.get(await call.navvy(), (await findTask(call, reference)).id);
  const view = await viewOf(run);
  call.out.show(RUN_VIEW, view, () => describeRun(view));
};

export async function viewOf(run: PipelineRun): Promise<RunView> {
  const { id, name, project, status, createdAt, createdBy } = run.record;
  const [number, steps] = await Promise.all([run.number(), run.steps()]);
  return { id, name, project, number, status, createdAt, by: createdBy, steps };
}

export function describeRun(view: RunView): string {
  const { id, name, number, status, steps } = view;
  const head = `${name}${number === undefined ? "" : ` #${number}`}  ${shortId(id)}  ${stateWord(status)}  ${progressOf(steps)} steps`;
  const rows = steps.flatMap((step) => [
    { step: step.stage ? `${step.stage} / ${step.name}` : step.name, state: step.state, task: taskOf(step), why: step.reason ?? "" },
  ]);
  const columns = [
    { title: "STEP", value: (row: (typeof rows)[number]) => row.step },
    { title: "STATE", value: (row: (typeof rows)[number]) => stateWord(row.state) },
    { title: "TASK", value: (row: (typeof rows)[number]) => row.task },
    { title: "WHY", value: (row: (typeof rows)[number]) => row.why, isFlexible: true },
  ];
  return `${head}\n\n${renderTable(columns, rows, { width: tableWidth() })}`;
}

/** Its task, or how many of its tasks are over. */
function taskOf({ members }: StepSummary): string {
  if (members.length > 1) {
    const over = members.filter(({ state }) => state === "completed" || state === "cached").length;
    return `${over}/${members.length} done`;
  }
  const [member] = members;
  if (!member?.task) return "";
  return `${shortId(member.task)}${member.tries > 1 ? ` try ${member.tries}` : ""}${member.round > 1 ? ` round ${member.round}` : ""}`;
}

function progressOf(steps: StepSummary[]): string {
  const over = steps.filter(({ state }) => ["completed", "cached", "failed", "aborted", "skipped"].includes(state)).length;
  return `${over}/${steps.length}`;
}
