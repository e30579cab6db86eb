import { expect, test } from "vitest";
import type { Outcome, TaskRecord } from "../../protocol/index.js";
import { afterOutcome, smaller } from "./after-outcome.js";
import { newDraft } from "./draft.js";
import { aborting, claimed, emptyReport, now } from "./transition.js";

function running(change: Partial<TaskRecord> = {}, spec: Partial<TaskRecord["spec"]> = {}): TaskRecord {
  const draft = newDraft({ name: "t", spec: { command: ["true"], ...spec } }, "me");
  const owner = { agent: "a", session: "s" };
  return {
    ...draft,
    status: "running",
    queue: "default",
    attempt: 1,
    ticket: 1,
    owner,
    attempts: [{ attempt: 1, ...owner, claimedAt: draft.createdAt }],
    ...change,
  };
}
const retries = { retries: { limit: 2, backoffMs: 0 } };
const failed: Outcome = { kind: "exited", code: 1 };
const lost: Outcome = { kind: "lost" };

test("each outcome takes a task where its cause says, and only its own counter counts", () => {
  const table: [string, TaskRecord, Outcome, Partial<TaskRecord>][] = [
    ["success", running(), { kind: "exited", code: 0 }, { status: "completed", failures: 0, losses: 0 }],
    ["a failure without retries", running(), failed, { status: "failed", failures: 1 }],
    [
      "a failure with retries left",
      running({ failures: 1 }, retries),
      failed,
      { status: "queued", failures: 2, ticket: 2, class: "normal" },
    ],
    ["the last retry", running({ failures: 2 }, retries), failed, { status: "failed", failures: 3 }],
    ["a signal of someone else", running({}, retries), { kind: "signalled", signal: "SIGSEGV" }, { status: "queued", failures: 1 }],
    ["a set-up that failed is not tried again", running({}, retries), { kind: "setup_failed" }, { status: "failed" }],
    ["a lost machine", running(), lost, { status: "queued", class: "front", losses: 1, failures: 0 }],
    ["a lost machine at its cap", running({ losses: 3 }), lost, { status: "failed", losses: 4, failures: 0 }],
    ["a lost task that nobody can run again", running({}, { command: [] }), lost, { status: "failed", losses: 1 }],
    ["given back", running({ losses: 3 }), { kind: "given_back" }, { status: "queued", class: "front", losses: 3, failures: 0 }],
    ["aborted", running({}, retries), { kind: "aborted" }, { status: "aborted" }],
    [
      "lost under an open wish to abort",
      running({ abort: { at: "", by: "me", reason: "enough" } }),
      lost,
      { status: "aborted", reason: "enough" },
    ],
    [
      "success before a wish was heard",
      running({ abort: { at: "", by: "me", reason: "enough" } }),
      { kind: "exited", code: 0 },
      { status: "completed" },
    ],
  ];
  for (const [what, record, outcome, expected] of table) {
    const next = afterOutcome(record, outcome);
    expect(next, what).toMatchObject(expected);
    expect(next.owner, what).toBeUndefined();
    expect(next.attempts[0]?.outcome, what).toEqual(outcome);
  }
});

test("a success that wishes to be parked waits in its queue, unless it was woken or is to end", () => {
  const park = { on: ["01JB7QRE000000000000000000"], all: true };
  const earlier = { outputs: { round: 3 }, metrics: {}, metricsOmitted: 0, artifacts: [], notes: [] };
  const record = running({ queue: "services", class: "high", reported: earlier, failures: 1 });
  const parked = afterOutcome(record, { kind: "exited", code: 0 }, { park, logBytes: { out: 5 } });
  expect(parked).toMatchObject({
    ...{ status: "queued", queue: "services", class: "high", ticket: 2, failures: 1, losses: 0, firstAttempt: 1, reported: earlier },
    ...{ parked: { ...park, at: expect.any(String) }, reason: "parked: waits for 1 task" },
    attempts: [{ attempt: 1, parked: true, outcome: { kind: "exited", code: 0 }, logBytes: { out: 5 } }],
  });
  expect(parked.outcome).toBeUndefined();
  expect(afterOutcome(record, failed, { park })).toMatchObject({ status: "failed" });
  const woken = afterOutcome({ ...record, wokenAt: parked.changedAt }, { kind: "exited", code: 0 }, { park });
  expect(woken).toMatchObject({ status: "queued", class: "front", firstAttempt: 1 });
  expect([woken.parked, woken.wokenAt]).toEqual([undefined, undefined]);
  const abort = { at: "", by: "me", reason: "enough" };
  expect(afterOutcome({ ...record, abort }, { kind: "exited", code: 0 }, { park })).toMatchObject({ status: "aborted", reason: "enough" });
});

test("an abort wakes a parked task that has more to do then, once, whenever it comes", () => {
  const park = { on: [], keys: true, tidies: true };
  const abort = { at: "2026-01-01T00:00:00Z", by: "me", reason: "enough" };
  const success = { kind: "exited", code: 0 } as const;
  const entry = { attempt: 2, agent: "a", session: "s", claimedAt: "2026-01-01T00:00:01Z" };
  for (const woken of [
    afterOutcome({ ...running(), abort }, success, { park }),
    aborting(afterOutcome(running(), success, { park }), abort),
  ]) {
    expect(woken).toMatchObject({ status: "queued", class: "front", abort, reason: "woken to end: enough" });
    expect(woken.parked).toBeUndefined();
    const next = claimed(woken, entry, undefined);
    expect(next.abort?.deliveredAt).toBe(entry.claimedAt);
    expect(afterOutcome(next, success, { park }).status).toBe("aborted");
    expect(aborting(woken, abort)).toMatchObject({ status: "aborted", abort });
  }
});

test("attempts that parked make room for each other and not for the others, and reports are kept from the first of them on", () => {
  let record = afterOutcome(running({}, { retries: { limit: 1, backoffMs: 0 } }), failed);
  const owner = { agent: "a", session: "s" };
  const claim = () => {
    const next = claimed(record, { attempt: record.attempt + 1, ...owner, claimedAt: now() }, undefined);
    return { ...next, reported: { ...next.reported, outputs: { ...next.reported.outputs, [`of ${next.attempt}`]: 1 } } };
  };
  for (let i = 0; i < 30; i++) record = afterOutcome(claim(), { kind: "exited", code: 0 }, { park: { on: [], keys: true } });
  const last = claim();
  expect(last.attempts.map(({ attempt }) => attempt)).toEqual([1, ...Array.from({ length: 10 }, (_, i) => 22 + i), 32]);
  expect(Object.keys(last.reported.outputs)).toEqual(Array.from({ length: 31 }, (_, i) => `of ${i + 2}`));
  expect([last.firstAttempt, last.parked, last.failures]).toEqual([2, undefined, 1]);
});

test("the first attempt of a life is named however many follow, parked or not, and however small the record has to be", () => {
  const park = { park: { on: [], keys: true } };
  const after = (record: TaskRecord) =>
    claimed(record, { attempt: record.attempt + 1, agent: "a", session: "s", claimedAt: now() }, undefined);
  let parking = running();
  let losing = running({}, { lostLimit: 99 });
  for (let i = 0; i < 30; i++) {
    parking = after(afterOutcome(parking, { kind: "exited", code: 0 }, park));
    losing = after(afterOutcome(losing, lost));
  }
  const named = ({ attempts }: TaskRecord) => attempts.map(({ attempt }) => attempt);
  const from = (first: number) => [1, ...Array.from({ length: 32 - first }, (_, i) => first + i)];
  expect([named(parking), named(losing)]).toEqual([from(21), from(13)]);
  expect(named(smaller(losing))).toEqual(from(28));
});

test("back-off doubles and ends at ten minutes", () => {
  const waitMs = (failures: number) => {
    const next = afterOutcome(running({ failures }, { retries: { limit: 100, backoffMs: 1_000 } }), failed);
    return Date.parse(next.notBefore ?? "") - Date.parse(next.changedAt);
  };
  expect(waitMs(0)).toBeGreaterThanOrEqual(990);
  expect(waitMs(3) / waitMs(2)).toBeCloseTo(2, 1);
  expect(waitMs(60)).toBeLessThanOrEqual(600_100);
});

test("a controller that was killed goes on, and uses up none of its retries", () => {
  const killed = { kind: "signalled", signal: "SIGKILL" } as const;
  const controller = { ...running(), taskType: "controller" };
  expect(afterOutcome(controller, killed)).toMatchObject({ status: "queued", class: "front", losses: 1, failures: 0 });
  expect(afterOutcome({ ...controller, losses: 3 }, killed)).toMatchObject({ status: "failed", reason: "lost: its process was killed" });
  expect(afterOutcome(controller, { kind: "signalled", signal: "SIGSEGV" }).status).toBe("failed");
  expect(afterOutcome(running(), killed).status).toBe("failed");
});

test("a record that outgrows its limit keeps naming its artifacts: what nothing names is taken for garbage", () => {
  const artifacts = Array.from({ length: 100 }, (_, n) => ({
    name: `model-${n}`,
    sha256: String(n).padStart(64, "0"),
    sizeBytes: n,
    attempt: 1,
    uploadedAt: new Date(0).toISOString(),
    preview: "x".repeat(200),
  }));
  const { reported } = smaller({ ...running(), reported: { ...emptyReport(), artifacts } });
  expect(reported.artifacts.map(({ name }) => name)).toEqual(artifacts.map(({ name }) => name));
  expect(reported.artifacts.every(({ preview }) => preview === undefined)).toBe(true);
});
