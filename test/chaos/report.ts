import type { AgentProcess } from "./agent-process.js";
import { milliseconds } from "./check/marks.js";
import type { Case } from "./check/outcomes.js";
import { RULES, type Violation } from "./check/violation.js";
import type { Plan } from "./plan.js";
import type { Done } from "./round.js";
import type { Sampler } from "./sampler.js";

/** What a round came to. */
export interface Summary {
  plan: Plan;
  done: Done;
  cases: Case[];
  violations: Violation[];
  sampler: Sampler;
  agents: readonly AgentProcess[];
  serverVersion: string;
  seconds: number;
}

/** The round in tables of Markdown, ready for docs/reliability.md. */
export function tables(summary: Summary): string {
  const { plan, done, cases, violations, sampler, agents } = summary;
  const { seed, minutes, leaseMs, tasksPerSecond, faultsPerMinute } = plan.options;
  const skipped = Object.values(done.skipped).reduce((sum, count) => sum + count, 0);
  return [
    `seed ${seed}, ${minutes} min, ${agents.length} agents, lease ${leaseMs / 1000} s, ${tasksPerSecond} tasks/s, ${faultsPerMinute} faults/min, nats-server ${summary.serverVersion}, ${summary.seconds.toFixed(0)} s all in`,
    "",
    table(["fault", "injected"], [...countsOf(done.faults.map(({ fault }) => fault.kind)), ["sum", done.faults.length]]),
    `${skipped} planned faults found their target still held by an earlier one; agents ended unasked ${sum(agents, "unaskedEnds")} times and did not leave when told to ${sum(agents, "stubbornEnds")} times.`,
    "",
    taskTable(cases),
    table(["attempts", "count"], attemptCounts(cases)),
    `/proc was looked at ${sampler.looks} times, with at most ${sampler.longestGapMs.toFixed(0)} ms between two looks.`,
    "",
    table(["asserted", "violations"], [...ruleCounts(violations), ["sum", violations.length]]),
  ].join("\n");
}

function taskTable(cases: readonly Case[]): string {
  const kinds = [...new Set(cases.map(kindOf))].sort();
  const statuses = ["completed", "failed", "aborted", "other"];
  const rows = [...kinds, "sum"].map((kind) => {
    const group = cases.filter((one) => kind === "sum" || kindOf(one) === kind);
    const counts = statuses.map((status) => group.filter((one) => statusOf(one, statuses) === status).length);
    return [kind, group.length, ...counts, group.reduce((attempts, one) => attempts + one.record.attempt, 0)];
  });
  return table(["task", "count", ...statuses, "attempts"], rows);
}

const kindOf = ({ submitted }: Case) => submitted?.planned.work.kind ?? "child of a controller";
const statusOf = ({ record }: Case, known: string[]) => (known.includes(record.status) ? record.status : "other");

function attemptCounts(cases: readonly Case[]): Row[] {
  const kinds = cases.flatMap(({ record }) => record.attempts.map(({ outcome }) => outcome?.kind ?? "without an outcome"));
  return countsOf(kinds);
}

function ruleCounts(violations: readonly Violation[]): Row[] {
  return RULES.map((rule) => [rule, violations.filter((each) => each.rule === rule).length]);
}

type Row = (string | number)[];

function countsOf(names: readonly string[]): Row[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a.localeCompare(b));
}

function sum(agents: readonly AgentProcess[], field: "unaskedEnds" | "stubbornEnds"): number {
  return agents.reduce((total, agent) => total + agent[field], 0);
}

function table(head: string[], rows: Row[]): string {
  const line = (cells: Row) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line), ""].join("\n");
}

const MOST_HISTORIES = 15;

/** What went wrong, each task with its whole history: the record, the events, the marks. */
export function histories({ cases, violations }: Pick<Summary, "cases" | "violations">): string {
  const byTask = new Map<string, Violation[]>();
  for (const violation of violations) byTask.set(violation.task ?? "", [...(byTask.get(violation.task ?? "") ?? []), violation]);
  const shown = [...byTask].slice(0, MOST_HISTORIES).map(([task, found]) => history(task, found, cases));
  const more = byTask.size > MOST_HISTORIES ? [`… and ${byTask.size - MOST_HISTORIES} more tasks with violations`] : [];
  return [...shown, ...more].join("\n\n");
}

function history(task: string, found: readonly Violation[], cases: readonly Case[]): string {
  const head = found.map((violation) => `✖ ${violation.rule}: ${violation.text}`);
  const one = cases.find(({ record }) => record.id === task);
  if (one === undefined) return [task, ...head].join("\n");
  const { record, events, marked, submitted } = one;
  const wish = submitted ? ` ${JSON.stringify({ ...submitted.planned, abort: submitted.abort })}` : "";
  const attempts = record.attempts.map((attempt) => `  attempt ${JSON.stringify(attempt)}`);
  const told = events.map((event) => `  ${event.at} ${event.event} attempt ${event.attempt ?? "-"} by ${event.by}: ${event.reason}`);
  const marks = marked.map(
    ({ attempt, first, last, processes, ends }) =>
      `  marks of attempt ${attempt}: ${milliseconds(first).toFixed(1)} to ${milliseconds(last).toFixed(1)} ms, processes ${[...processes].join(" ")}, ends ${ends.join(" ") || "none"}`,
  );
  return [`${task} ${record.name}: ${record.status}, ${record.reason}${wish}`, ...head, ...attempts, ...told, ...marks].join("\n");
}
