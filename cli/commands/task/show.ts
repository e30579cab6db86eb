import { type Navvy, sessionKey, sessionsBucket } from "../../../broker/index.js";
import { DEFAULT_GRACE_MS, describeOutcome, type GitRef, type TaskRecord } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { awaitedWords } from "../../output/awaited.js";
import { needsAsAsked, needsWords } from "../../output/needs.js";
import { tableWidth } from "../../output/output.js";
import { age, duration, figure, size } from "../../output/quantities.js";
import { renderTable } from "../../output/table.js";
import { shortId, stateWord } from "../../output/words.js";
import { findTask } from "../../references.js";
import { gitWords } from "./git-spec.js";
import { quoted } from "./replay-script.js";
import { agentOf, TASK_VIEW } from "./view.js";

/** `navvy task show TASK` */
export const show: Handler<[string]> = async (call, reference) => {
  const task = await findTask(call, reference);
  const isHeld = task.status !== "running" || (await hasSession(await call.navvy(), task));
  call.out.show(TASK_VIEW, task, () => describeTask(task, { isHeld }));
};

async function hasSession(navvy: Navvy, { owner }: TaskRecord): Promise<boolean> {
  return owner !== undefined && (await sessionsBucket(navvy.bus).get(sessionKey(owner))) !== undefined;
}

/** A task on one page. */
export function describeTask(task: TaskRecord, { isHeld = true }: { isHeld?: boolean } = {}): string {
  const pairs: [string, string | undefined][] = [
    ["project", task.project],
    ["type", task.taskType],
    ["tags", task.tags.join(", ") || undefined],
    ["comment", task.comment],
    ["created", `${age(task.createdAt)} ago by ${task.createdBy}`],
    ["changed", `${age(task.changedAt)} ago by ${task.by}: ${task.reason}`],
    ["queue", task.queue && `${task.queue} (${task.class})`],
    ["command", task.spec.command.length > 0 ? task.spec.command.map(quoted).join(" ") : "none yet"],
    ["code", (task.spec.code && describeCode(task.spec.code)) ?? (task.spec.git && describeGit(task, task.spec.git))],
    ["image", task.spec.container?.image],
    ["setup", task.spec.setup && setupWords(task.spec.setup)],
    ["needs", needsWords(needsAsAsked(task.spec))],
    ["gpus", task.attempts.at(-1)?.gpus?.join(", ")],
    ["limits", limitsOf(task)],
    ["agent", agentOf(task) === "—" ? undefined : `${agentOf(task)}, attempt ${task.attempt}${isHeld ? "" : goneWords(task)}`],
    ["abort", abortWords(task, isHeld)],
    ["awaits", task.parked && awaitedWords(task.parked)],
    ["cloned", task.clonedFrom && `from ${task.clonedFrom}`],
    ["parent", task.parent],
    ["fired by", firedByWords(task)],
    ["cache", task.cache && `key ${task.cache.key.slice(0, 12)}, a miss: ${task.cache.why}`],
    ["env", pairsOf(task.spec.env)],
    ["params", parametersOf(task)],
    ["outputs", pairsOf(task.reported.outputs)],
    ["reported", task.reported.params && pairsOf(task.reported.params)],
    ["summary", task.reported.summary && `${size(task.reported.summary.sizeBytes)}: navvy task summary ${shortId(task.id)}`],
    ["ended", task.outcome && `${describeOutcome(task.outcome)}${task.endedAt ? `, ${age(task.endedAt)} ago` : ""}`],
  ];
  const facts = pairs.flatMap(([label, value]) => (value ? [`${label.padEnd(9)} ${value}`] : []));
  return [
    `${task.name}  ${task.id}  ${stateWord(task.parked ? "parked" : task.status)}`,
    ...facts,
    ...noteLines(task),
    ...attemptTable(task),
    ...metricTable(task),
    ...artifactTable(task),
  ].join("\n");
}

function firedByWords({ firedBy }: TaskRecord): string | undefined {
  if (!firedBy) return undefined;
  const { kind, name, run, at, task } = firedBy;
  return [`${kind} ${name}`, run === undefined ? undefined : `run ${run}`, task && `for task ${task}`, at].filter(Boolean).join(", ");
}

/** Requested, delivered, confirmed: each with its time, or that it has yet to come. */
function abortWords({ abort, status, endedAt, attempt }: TaskRecord, isHeld: boolean): string | undefined {
  if (!abort) return undefined;
  const ago = (time: string) => `${age(time)} ago`;
  const steps = [`requested ${ago(abort.at)} by ${abort.by}: ${abort.reason}`];
  if (abort.deliveredAt !== undefined) steps.push(`delivered ${ago(abort.deliveredAt)}`);
  else if (status === "running") steps.push(isHeld ? "not delivered yet" : "not delivered: its agent is gone");
  else if (attempt > 0) steps.push("never delivered");
  if (status === "aborted" && endedAt !== undefined) steps.push(`confirmed ${ago(endedAt)}`);
  else steps.push(status === "running" ? "not confirmed yet" : `${status} instead`);
  return steps.join("; ");
}

function goneWords(task: TaskRecord): string {
  if (task.onDisconnect !== "continue") return "; it is gone, and the task is taken back in a moment";
  const since = task.unreachableAt === undefined ? "" : ` for ${age(task.unreachableAt)}`;
  return `; out of reach${since}, it may run on there (give it up: navvy task lose ${shortId(task.id)})`;
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

function describeGit({ attempts }: TaskRecord, git: GitRef): string {
  const commit = git.commit ?? attempts.findLast((each) => each.commit !== undefined)?.commit;
  return gitWords({ ...git, ...(commit === undefined ? {} : { commit }) });
}

function limitsOf({ spec }: TaskRecord): string | undefined {
  const parts = [
    spec.timeLimitMs === undefined ? undefined : `ends after ${duration(spec.timeLimitMs)}`,
    spec.timeLimitMs === undefined && spec.graceMs === DEFAULT_GRACE_MS ? undefined : `grace ${duration(spec.graceMs)}`,
    spec.onDisconnect === undefined ? undefined : `when cut off: ${spec.onDisconnect}`,
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

function setupWords({ kind, commands, files }: NonNullable<TaskRecord["spec"]["setup"]>): string {
  const parts = [kind === "commands" ? undefined : kind, files.length > 0 ? `of ${files.join(", ")}` : undefined, commands.join("; ")];
  return parts.filter(Boolean).join(" ");
}

/** What it had to say to people, and what its agent says of it. */
function noteLines({ reported }: TaskRecord): string[] {
  return reported.notes.map(({ at, level, text }) => `${"note".padEnd(9)} ${level === "info" ? "" : `${level}: `}${text}, ${age(at)} ago`);
}
