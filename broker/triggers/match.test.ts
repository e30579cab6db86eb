import { describe, expect, test } from "vitest";
import { TaskRecord as Record, type TaskRecord, type TriggerFilter, type TriggerOn } from "../../protocol/index.js";
import { isPast, judge, mayMatch } from "./match.js";

const at = (minutes: number) => new Date(Date.parse("2026-06-01T00:00:00Z") + minutes * 60_000).toISOString();
const ID = "01KAQD4XW7J9M2ZC5T8RB3FVNH";

/** A task that was made at minute 10, ran from minute 20 and ended at minute 30. */
function record(more: Partial<TaskRecord> = {}): TaskRecord {
  return Record.parse({
    type: "navvy.task.v1",
    ...{ id: ID, name: "train-7", project: "iris", taskType: "training", tags: ["sweep"], queue: "gpu" },
    ...{ createdAt: at(10), createdBy: "ada", changedAt: at(30), endedAt: at(30), enqueuedAt: at(15), by: "gpu-7", reason: "exited 0" },
    ...{ spec: { command: ["true"] }, status: "completed", attempt: 1, ticket: 1 },
    attempts: [{ attempt: 1, agent: "gpu-7", session: "s", claimedAt: at(20), endedAt: at(30) }],
    ...more,
  });
}

const judged = (on: TriggerOn, task: TaskRecord, more: { filter?: TriggerFilter; since?: string } = {}) =>
  judge({ on, filter: more.filter ?? {}, since: more.since ?? at(0) }, task, task.reported.artifacts);
const keys = (...args: Parameters<typeof judged>) => {
  const judgement = judged(...args);
  return "why" in judgement ? judgement.why : judgement.occasions.map(({ key }) => key);
};
const status = (...statuses: (TriggerOn & { kind: "status" })["statuses"]): TriggerOn => ({ kind: "status", statuses });

test("what came about long before all was looked at is past, unless the task never ran or a tag of the filter is new", () => {
  const past = (task: TaskRecord, seenAt?: string, tags?: string[]) =>
    isPast({ trigger: { filter: tags ? { tags } : {} }, record: task, seenAt }, { key: "k", at: at(30), values: {} });
  expect([past(record()), past(record(), at(90)), past(record(), at(91))]).toEqual([false, false, true]);
  expect(past(record({ status: "queued", attempt: 0, attempts: [] }), at(91))).toBe(false);
  expect(past(record({ tagged: { sweep: at(32) } }), at(91), ["sweep"])).toBe(false);
  expect(past(record(), at(91), ["sweep"])).toBe(true);
});

describe("statuses", () => {
  test("those that a task has passed on its way count, each once", () => {
    expect(keys(status("queued", "running", "completed", "failed"), record())).toEqual([
      `status.${ID}.queued.1`,
      `status.${ID}.running.1`,
      `status.${ID}.completed.1`,
    ]);
    expect(keys(status("completed", "published"), record({ status: "published" }))).toHaveLength(2);
  });

  test("a second attempt is the same occasion, a life after a reset is another one", () => {
    const attempts = [1, 2].map((attempt) => ({ attempt, agent: "a", session: "s", claimedAt: at(20) }));
    expect(keys(status("running"), record({ status: "running", attempt: 2, ticket: 2, attempts }))).toEqual([`status.${ID}.running.1`]);
    const again = record({ status: "queued", attempt: 2, ticket: 3, attempts: [] });
    expect(keys(status("queued"), again)).toEqual([`status.${ID}.queued.3`]);
    const rerun = record({
      status: "running",
      attempt: 3,
      ticket: 3,
      attempts: [{ ...attempts[0], attempt: 3 }] as TaskRecord["attempts"],
    });
    expect(keys(status("queued", "running"), rerun)).toEqual([`status.${ID}.queued.3`, `status.${ID}.running.3`]);
  });

  test("a retry after the trigger was made is no news of a task that ran before", () => {
    const attempts = [20, 40].map((minute, index) => ({ attempt: index + 1, agent: "a", session: "s", claimedAt: at(minute) }));
    const retried = record({ status: "running", attempt: 2, ticket: 2, enqueuedAt: at(35), attempts });
    expect(keys(status("queued", "running"), retried, { since: at(30) })).toMatch(/^that was before/);
    expect(keys(status("queued", "running"), retried, { since: at(15) })).toHaveLength(2);
  });

  test("what was before the trigger does not count", () => {
    expect(keys(status("completed"), record(), { since: at(30) })).toHaveLength(1);
    expect(keys(status("completed"), record(), { since: at(31) })).toMatch(/^that was before/);
    expect(keys(status("queued", "completed"), record(), { since: at(25) })).toEqual([`status.${ID}.completed.1`]);
  });

  test("what is not there is told", () => {
    expect(keys(status("failed", "aborted"), record())).toBe("it is completed, not failed or aborted");
  });
});

test.each<[TriggerFilter, string | undefined]>([
  [{ project: "iris", name: "train*", tags: ["sweep"], taskType: "training", queue: "gpu" }, undefined],
  [{ project: "other" }, "its project is iris, not other"],
  [{ name: "train" }, "its name train-7 is not like train"],
  [{ name: "tr.in*" }, "its name train-7 is not like tr.in*"],
  [{ tags: ["sweep", "prod"] }, "it has no tag prod"],
  [{ taskType: "qc" }, "its type is training, not qc"],
  [{ queue: "cpu" }, "its queue is gpu, not cpu"],
])("the filter %j", (filter, why) => {
  const said = keys(status("completed"), record(), { filter });
  expect(said).toEqual(why ?? [`status.${ID}.completed.1`]);
  expect(mayMatch({ on: status("completed"), filter }, record(), new Set())).toBe(why === undefined);
});

test("a condition is met once in a life, whatever comes after", () => {
  const reported = {
    ...record().reported,
    metrics: { acc: { last: 0.2, lastStep: 9, min: 0, minStep: 1, max: 0.95, maxStep: 5, count: 9 } },
  };
  const on: TriggerOn = { kind: "metric", where: "acc.max > 0.9" };
  expect(keys(on, record({ status: "running", reported }))).toEqual([`metric.${ID}.1`]);
  expect(keys({ kind: "metric", where: "acc > 0.9" }, record({ reported }))).toBe("what it reported does not meet acc > 0.9");
  expect(keys(on, record({ status: "draft", attempt: 0, attempts: [] }))).toBe("it never ran");
  expect(mayMatch({ on, filter: {} }, record({ reported }), new Set())).toBe(true);
  expect(mayMatch({ on, filter: {} }, record({ reported }), new Set([`${ID}.1`]))).toBe(false);
});

test("each content of an artifact is an occasion, those before the trigger and the list of all are none", () => {
  const artifacts = [
    { name: "a.csv", sha256: "1", uploadedAt: at(21) },
    { name: "a.csv", sha256: "2", uploadedAt: at(22) },
    { name: "b.csv", sha256: "1", uploadedAt: at(5) },
    { name: "m.pt", sha256: "3", uploadedAt: at(23), kind: "model" },
    { name: "all.csv", sha256: "4", uploadedAt: at(24), kind: "manifest" },
  ].map((ref) => ({ ...ref, sizeBytes: 1, attempt: 1 }));
  const task = record({ reported: { ...record().reported, artifacts } });
  expect(keys({ kind: "artifact", name: "*.csv" }, task, { since: at(20) })).toEqual([`artifact.${ID}.a.csv.1`, `artifact.${ID}.a.csv.2`]);
  expect(keys({ kind: "model", name: "*" }, task)).toEqual([`artifact.${ID}.m.pt.3`]);
  expect(keys({ kind: "model", name: "best*" }, task)).toBe("it has no model like best*");
});

test("a tag counts from when it was added", () => {
  const on: TriggerOn = { kind: "tag", tag: "prod" };
  expect(keys(on, record({ tags: ["prod"] }), { since: at(11) })).toMatch(/^that was before/);
  expect(keys(on, record({ tags: ["prod"], tagged: { prod: at(40) } }), { since: at(11) })).toEqual([`tag.${ID}.prod`]);
  expect(keys(on, record())).toBe("it has no tag prod");
});
