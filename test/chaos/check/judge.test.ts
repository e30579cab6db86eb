import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tempFolder } from "../../support/folder.js";
import { planOf } from "../plan.js";
import type { SubmittedTask } from "../submit.js";
import { judge } from "./judge.js";
import { type Marks, readMarks } from "./marks.js";
import type { Left, PlainRecord } from "./read.js";

const OPTIONS = { seed: 3, minutes: 5, agents: 3, leaseMs: 3_000, tasksPerSecond: 1, faultsPerMinute: 10 };
const planned = planOf(OPTIONS).tasks;
/** As `worker.py` prints it. */
const printed = (seed: number, name: string, sizeBytes: number) =>
  Buffer.concat(
    Array.from({ length: Math.ceil(sizeBytes / 32) }, (_, i) => createHash("sha256").update(`${seed}:${name}:${i}`).digest()),
  ).subarray(0, sizeBytes);

/** A chatty task that was lost once and then completed, with all that it should have left. */
function goodEvidence() {
  const chatty = planned.find((task) => task.work.kind === "chatty" && task.abortAfterMs === undefined);
  if (chatty === undefined) throw new Error("the plan has no chatty task");
  const { seed, bytes } = chatty.work;
  const [out, err] = [printed(seed, "out", bytes), printed(seed, "err", Math.floor(bytes / 2))];
  const submitted: SubmittedTask = { id: "T", planned: chatty };
  const record: PlainRecord = {
    ...{ id: "T", name: "chatty", status: "completed", reason: "exited 0", attempt: 2, failures: 0, losses: 1 },
    spec: { retries: { limit: 3 } },
    outcome: { kind: "exited", code: 0 },
    attempts: [
      { attempt: 1, agent: "a", outcome: { kind: "lost" } },
      { attempt: 2, agent: "b", outcome: { kind: "exited", code: 0 }, logBytes: { out: out.length, err: err.length } },
    ],
    reported: { outputs: {}, metrics: {}, artifacts: [] },
  };
  const pieces = [
    { stream: "out", offset: 0, data: out.subarray(0, 900) },
    { stream: "out", offset: 500, data: out.subarray(500) },
    { stream: "err", offset: 0, data: err },
  ];
  const event = (name: string) => ({ id: "T", event: name, at: "", by: "", reason: "" });
  const left: Left = {
    records: new Map([["T", record]]),
    events: new Map([["T", [event("running"), event("queued"), event("running"), event("completed")]]]),
    logs: new Map([["T.2", pieces]]),
    metrics: new Map(),
    sessions: [],
    tickets: [],
    object: () => Promise.resolve(undefined),
    close: () => Promise.resolve(),
  };
  const marked = (attempt: number, [first, last]: [bigint, bigint], ends: number[]) => ({
    ...{ attempt, first, last, marks: 9, processes: new Set([1]), begins: 1, ends },
  });
  const marks: Marks = new Map([["T", [marked(1, [10n, 20n], []), marked(2, [30n, 40n], [0])]]]);
  return { tasks: [submitted], left, marks, overlaps: [], record, pieces, events: left.events.get("T") ?? [] };
}

type Evidence = ReturnType<typeof goodEvidence>;

async function rulesOf(change: (evidence: Evidence) => void): Promise<string[]> {
  const evidence = goodEvidence();
  change(evidence);
  const { violations } = await judge(evidence);
  return [...new Set(violations.map((violation) => violation.rule))];
}

test("what went well is not found fault with", async () => {
  expect(await rulesOf(() => {})).toEqual([]);
});

const WRONGS: [string, string, (evidence: Evidence) => void][] = [
  ["a record that is gone", "exactly one recorded outcome", ({ left }) => left.records.clear()],
  ["a task that still runs", "exactly one recorded outcome", ({ record }) => (record.status = "running")],
  ["an attempt without an outcome", "exactly one recorded outcome", ({ record }) => delete record.attempts[0]?.outcome],
  ["an attempt that is missing", "exactly one recorded outcome", ({ record }) => record.attempts.shift()],
  ["an end that was told twice", "exactly one recorded outcome", ({ events }) => events.push({ ...events[3]!, event: "failed" })],
  ["an exit code that the program does not have", "the outcome is the right one", ({ record }) => (record.attempts[1]!.outcome!.code = 1)],
  ["an end before the program's own", "the outcome is the right one", ({ marks }) => (marks.get("T")![1]!.ends = [])],
  ["an abort that nobody wished", "the outcome is the right one", ({ record }) => (record.status = "aborted")],
  [
    "a fault that looks like the program's failure",
    "the outcome is the right one",
    ({ record }) => (record.attempts[0]!.outcome = { kind: "signalled", signal: "SIGKILL" }),
  ],
  [
    "a failure with retries left",
    "the outcome is the right one",
    ({ record }) => Object.assign(record, { status: "failed", outcome: { kind: "exited", code: 3 } }),
  ],
  ["marks that overlap", "no two attempts at once", ({ marks }) => (marks.get("T")![0]!.last = 31n)],
  ["an attempt that was begun twice", "no two attempts at once", ({ marks }) => (marks.get("T")![1]!.begins = 2)],
  ["a gap in a log", "the log is byte-exact", ({ pieces }) => (pieces[1]!.offset = 901)],
  ["another byte in a log", "the log is byte-exact", ({ pieces }) => (pieces[2]!.data[7]! ^= 1)],
  ["a log without its end", "the log is byte-exact", ({ pieces }) => pieces.pop()],
  ["an artifact that nobody left", "artifacts are whole", ({ record }) => record.reported.artifacts.push({ name: "x" } as never)],
  ["a session that outlives its agent", "nothing is left behind", ({ left }) => left.sessions.push("a.1")],
];

test.each(WRONGS)("%s is found", async (_, rule, change) => {
  expect(await rulesOf(change)).toContain(rule);
});

test("two attempts that /proc shows at once are found", async () => {
  const { violations } = await judge({ ...goodEvidence(), overlaps: [{ task: "T", attempts: [1, 2], at: "", processes: [] }] });
  expect(violations).toMatchObject([{ rule: "no two attempts at once", task: "T" }]);
});

test("marks are read by task and attempt, and a line that is none stops the judging", async () => {
  await using folder = await tempFolder();
  const file = join(folder.path, "marks");
  await writeFile(file, "T 1 7 begin 5\nT 1 8 beat 3\nT 2 9 begin 20\nT 1 7 end:0 11\n");
  expect(readMarks(file).get("T")).toMatchObject([
    { attempt: 1, first: 3n, last: 11n, begins: 1, ends: [0], processes: new Set([7, 8]) },
    { attempt: 2, first: 20n, last: 20n },
  ]);
  await writeFile(file, "T 1 7");
  expect(() => readMarks(file)).toThrow("not a mark");
});

test("the same seed gives the same wishes, another seed others", () => {
  expect(planOf(OPTIONS)).toEqual(planOf(OPTIONS));
  expect(planOf(OPTIONS).tasks).not.toEqual(planOf({ ...OPTIONS, seed: 4 }).tasks);
  expect(planOf(OPTIONS).faults).not.toEqual(planOf({ ...OPTIONS, seed: 4 }).faults);
});
