import {
  countsOf,
  figure,
  isSweep,
  parameterText,
  ranked,
  readSweep,
  SWEEP_TYPE,
  type SweepView,
  type TrialView,
} from "../../../controller/index.js";
import type { Handler } from "../../call.js";
import { tableWidth, type View } from "../../output/output.js";
import { age, duration } from "../../output/quantities.js";
import { type Column, renderTable } from "../../output/table.js";
import { shortId, stateWord } from "../../output/words.js";
import { findTask } from "../../references.js";
import type { SweepListFlags } from "../sweep.js";

/** A sweep as it is printed. */
type SweepRow = Pick<SweepView["task"], "id" | "name" | "project" | "status" | "createdAt"> & {
  method: string;
  metric: string;
  goal: string;
  trials: TrialView[];
  best?: TrialView | undefined;
};

const SWEEP_VIEW: View<SweepRow> = {
  kind: "sweep",
  name: (sweep) => sweep.id,
  empty: "no sweeps: navvy sweep run --help",
  columns: [
    { title: "ID", value: ({ id }) => shortId(id) },
    { title: "NAME", value: ({ name }) => name, isFlexible: true },
    { title: "STATE", value: ({ status }) => stateWord(status) },
    { title: "METHOD", value: ({ method }) => method },
    { title: "TRIALS", value: ({ trials }) => countsOf(trials) || "—", isFlexible: true },
    { title: "BEST", value: ({ best }) => (best?.value === undefined ? "—" : figure(best.value)), align: "right" },
    { title: "OF", value: ({ metric }) => metric, isFlexible: true },
    { title: "AGE", value: ({ createdAt }) => age(createdAt), align: "right" },
    { title: "PROJECT", value: ({ project }) => project, isWide: true },
  ],
};

/** `navvy sweep ls` */
export const list: Handler<[], SweepListFlags> = async (call) => {
  const navvy = await call.navvy();
  const { project, archived } = call.options;
  const filter = { taskType: SWEEP_TYPE, ...(project === undefined ? {} : { project }), ...(archived === undefined ? {} : { archived }) };
  const sweeps = (await navvy.tasks.list(filter)).filter(isSweep);
  const rows: SweepRow[] = [];
  for (const task of sweeps) rows.push(rowOf(await readSweep(navvy, task)));
  call.out.list(SWEEP_VIEW, rows);
};

/** `navvy sweep show SWEEP` */
export const show: Handler<[string]> = async (call, reference) => {
  const sweep = await readSweep(await call.navvy(), await findTask(call, reference));
  call.out.show(SWEEP_VIEW, rowOf(sweep), () => pageOf(sweep, call.out.format === "wide"));
};

function rowOf({ task, config, trials }: SweepView): SweepRow {
  const { id, name, project, status, createdAt } = task;
  const { metric, goal } = config.objective;
  const rows = ranked(trials, config.objective);
  const best = rows[0]?.state === "completed" ? rows[0] : undefined;
  return { id, name, project, status, createdAt, method: config.method, metric, goal, trials: rows, ...(best ? { best } : {}) };
}

function pageOf({ task, config, trials }: SweepView, isWide: boolean): string {
  const { metric, goal, of } = config.objective;
  const { budget, parallel, method, earlyStop, target } = config;
  const rows = ranked(trials, config.objective);
  const ends = [
    budget.trials === undefined ? undefined : `${budget.trials} trials`,
    budget.timeMs === undefined ? undefined : duration(budget.timeMs),
    target === undefined ? undefined : `${metric} ${target}`,
  ].filter((each) => each !== undefined);
  const last = task.reported.notes.at(-1)?.text;
  const pairs: [string, string | undefined][] = [
    ["project", task.project],
    ["template", config.template],
    ["objective", `${goal} of ${metric} (${of})`],
    [
      "method",
      `${method}, ${parallel} at once${earlyStop ? `, early stop from step ${earlyStop.minSteps}, one in ${earlyStop.factor} goes on` : ""}`,
    ],
    ["ends at", ends.join(", ") || undefined],
    ["trials", countsOf(trials) || "none yet"],
    ["said", last],
  ];
  return [
    `${task.name}  ${task.id}  ${stateWord(task.status)}`,
    ...pairs.flatMap(([label, value]) => (value ? [`${label.padEnd(9)} ${value}`] : [])),
    ...(rows.length > 0 ? ["", renderTable(columnsOf(config, rows, isWide), rows, { width: tableWidth() })] : []),
  ].join("\n");
}

function columnsOf({ objective, space }: SweepView["config"], rows: TrialView[], isWide: boolean): Column<TrialView>[] {
  const whys: Column<TrialView>[] = [{ title: "WHY", value: ({ why }) => why?.split("\n")[0] ?? "", isFlexible: true }];
  return [
    { title: "RANK", value: (trial) => (trial.state === "completed" ? String(rows.indexOf(trial) + 1) : "—"), align: "right" },
    { title: "TRIAL", value: ({ number }) => String(number), align: "right" },
    { title: "TASK", value: ({ task }) => shortId(task) },
    { title: "STATE", value: ({ state }) => stateWord(state) },
    { title: objective.metric, value: ({ value }) => (value === undefined ? "—" : figure(value)), align: "right" },
    { title: "STEP", value: ({ step }) => (step === undefined ? "—" : String(step)), align: "right" },
    ...space.map(({ path }) => ({
      title: path,
      value: ({ parameters }: TrialView) => (parameters[path] === undefined ? "—" : parameterText(parameters[path])),
      isFlexible: true,
    })),
    ...(isWide || rows.some(({ state }) => state === "failed") ? whys : []),
  ];
}
