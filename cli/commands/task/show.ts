import { describeOutcome, type TaskRecord } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { tableWidth } from "../../output/output.js";
import { age, duration, figure, size } from "../../output/quantities.js";
import { renderTable } from "../../output/table.js";
import { stateWord } from "../../output/words.js";
import { findTask } from "../../references.js";
import { agentOf, TASK_VIEW } from "./view.js";

/** `navvy task show TASK` */
export const show: Handler<[string]> = async (call, reference) => {
  const task = await findTask(call, reference);
  call.out.show(TASK_VIEW, task, () => describeTask(task));
};

/** A task on one page. */
export function describeTask(task: TaskRecord): string {
  const pairs: [string, string | undefined][] = [
    ["project", task.project],
    ["type", task.taskType],
    ["tags", task.tags.join(", ") || undefined],
    ["comment", task.comment],
    ["created", `${age(task.createdAt)} ago by ${task.createdBy}`],
    ["changed", `${age(task.changedAt)} ago by ${task.by}: ${task.reason}`],
    ["queue", task.queue && `${task.queue} (${task.class})`],
    ["command", task.spec.command.length > 0 ? task.spec.command.map(quoted).join(" ") : "none yet"],
    ["code", task.spec.code && describeCode(task.spec.code)],
    ["gpus", task.spec.resources.gpus > 0 ? String(task.spec.resources.gpus) : undefined],
    ["limits", limitsOf(task)],
    ["agent", agentOf(task) === "—" ? undefined : `${agentOf(task)}, attempt ${task.attempt}`],
    ["cloned", task.clonedFrom && `from ${task.clonedFrom}`],
    ["parent", task.parent],
    ["env", pairsOf(task.spec.env)],
    ["params", parametersOf(task)],
    ["outputs", pairsOf(task.reported.outputs)],
    ["ended", task.outcome && `${describeOutcome(task.outcome)}${task.endedAt ? `, ${age(task.endedAt)} ago` : ""}`],
  ];
  const facts = pairs.flatMap(([label, value]) => (value ? [`${label.padEnd(9)} ${value}`] : []));
  return [
    `${task.name}  ${task.id}  ${stateWord(task.status)}`,
    ...facts,
    ...attemptTable(task),
    ...metricTable(task),
    ...artifactTable(task),
  ].join("\n");
}

function attemptTable(task: TaskRecord): string[] {
  if (task.attempts.length < 2) return [];
  const lasted = (each: TaskRecord["attempts"][number]) =>
    each.endedAt ? duration(Date.parse(each.endedAt) - Date.parse(each.startedAt ?? each.claimedAt)) : "—";
  return table(
    [
      { title: "ATTEMPT", value: (each) => String(each.attempt) },
      { title: "AGENT", value: (each) => each.agent, isFlexible: true },
      { title: "LASTED", value: lasted },
      { title: "OUTCOME", value: (each) => (each.outcome ? describeOutcome(each.outcome) : "—"), isFlexible: true },
    ],
    task.attempts,
  );
}

function metricTable(task: TaskRecord): string[] {
  return table(
    [
      { title: "METRIC", value: ([key]) => key, isFlexible: true },
      { title: "LAST", value: ([, each]) => figure(each.last), align: "right" },
      { title: "MIN", value: ([, each]) => `${figure(each.min)} @${each.minStep}`, align: "right" },
      { title: "MAX", value: ([, each]) => `${figure(each.max)} @${each.maxStep}`, align: "right" },
      { title: "POINTS", value: ([, each]) => String(each.count), align: "right" },
    ],
    Object.entries(task.reported.metrics),
  );
}

function artifactTable(task: TaskRecord): string[] {
  return table(
    [
      { title: "ARTIFACT", value: (each) => each.name, isFlexible: true },
      { title: "SIZE", value: (each) => size(each.sizeBytes), align: "right" },
      { title: "SHA256", value: (each) => each.sha256.slice(0, 12) },
    ],
    task.reported.artifacts,
  );
}

function table<T>(columns: Parameters<typeof renderTable<T>>[0], items: T[]): string[] {
  return items.length === 0 ? [] : ["", renderTable(columns, items, { width: tableWidth() })];
}

function describeCode(code: NonNullable<TaskRecord["spec"]["code"]>): string {
  const { folder, commit, branch, dirty } = code.origin ?? {};
  const git = commit ? `${branch ?? "?"}@${commit.slice(0, 7)}${dirty ? " and changes" : ""}` : undefined;
  return [`${code.bundle.slice(0, 12)} ${size(code.sizeBytes)}`, git, folder].filter(Boolean).join(", ");
}

function limitsOf({ spec }: TaskRecord): string | undefined {
  const parts = [
    spec.timeLimitMs === undefined ? undefined : `ends after ${duration(spec.timeLimitMs)}`,
    spec.retries.limit > 0 ? `${spec.retries.limit} retries` : undefined,
  ].filter(Boolean);
  return parts.length ? parts.join(", ") : undefined;
}

function parametersOf(task: TaskRecord): string | undefined {
  const all = Object.entries(task.spec.parameters).flatMap(([section, values]) =>
    Object.entries(values).map(([name, value]) => [`${section}/${name}`, value] as const),
  );
  return pairsOf(Object.fromEntries(all));
}

function pairsOf(values: Record<string, unknown>): string | undefined {
  const text = Object.entries(values).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return text.length ? text.join("  ") : undefined;
}

function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
