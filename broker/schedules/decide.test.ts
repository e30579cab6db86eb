import { describe, expect, test } from "vitest";
import { Schedule, type ScheduleState } from "../../protocol/index.js";
import { decide, freshState, nextFiring, statusOf } from "./decide.js";

const HOUR = 3_600_000;
const START = Date.parse("2026-06-01T00:00:00Z");
const at = (hours: number) => new Date(START + hours * HOUR).toISOString();

/** Due at each full hour, made at midnight. */
function hourly(more: Partial<Schedule> = {}): Schedule {
  return Schedule.parse({
    type: "navvy.schedule.v1",
    name: "hourly",
    id: "01KAQD4XW7J9M2ZC5T8RB3FVNH",
    createdAt: at(0),
    createdBy: "ada",
    when: { kind: "interval", everyMs: HOUR, startAt: at(1) },
    launch: { template: "01KAQD4WZ1V6B8N3K5M7P9R2T4", templateName: "train", queue: "default" },
    ...more,
  });
}

const decided = (schedule: Schedule, hours: number, more: { state?: ScheduleState; isBusy?: boolean } = {}) =>
  decide(schedule, more.state ?? freshState(schedule), { now: START + hours * HOUR, isBusy: more.isBusy ?? false });
const waiting = (decision: ReturnType<typeof decide>) => decision?.state.waiting.map((firing) => firing.at);

describe("catching up", () => {
  test("nothing is decided before it is due", () => {
    expect(decided(hourly(), 0.9)).toBeUndefined();
  });

  test("what is due now runs whatever the policy", () => {
    for (const catchUp of ["none", "last", "all"] as const) {
      const decision = decided(hourly({ catchUp, overlap: "queue" }), 1);
      expect(waiting(decision)).toEqual([at(1)]);
      expect(decision?.dropped).toEqual([]);
    }
  });

  test("none: what was missed comes to nothing", () => {
    const decision = decided(hourly({ catchUp: "none" }), 3.5);
    expect(decision).toMatchObject({ state: { waiting: [], decidedTo: at(3), runs: 0 }, dropped: [{ event: "missed", at: at(3) }] });
  });

  test("last: only the latest of what was missed runs", () => {
    const decision = decided(hourly({ catchUp: "last" }), 3.5);
    expect(waiting(decision)).toEqual([at(3)]);
    expect(decision).toMatchObject({ state: { decidedTo: at(3), runs: 1 }, dropped: [{ event: "missed", at: at(2) }] });
  });

  test("all: all of it runs in order, up to the limit", () => {
    expect(waiting(decided(hourly({ catchUp: "all", overlap: "queue" }), 3.5))).toEqual([at(1), at(2), at(3)]);
    const limited = decided(hourly({ catchUp: "all", overlap: "queue", catchUpLimit: 2 }), 5000);
    expect(waiting(limited)).toEqual([at(4999), at(5000)]);
    expect(limited?.state.waiting.map(({ run }) => run)).toEqual([1, 2]);
  });

  test("what is decided is decided once", () => {
    const first = decided(hourly(), 2);
    expect(decided(hourly(), 2.9, { state: first?.state as ScheduleState })).toBeUndefined();
  });
});

describe("while the last run has not ended", () => {
  const last = { key: at(1), at: at(1), run: 1, task: "01KAQD4WZ1V6B8N3K5M7P9R2T4", firedAt: at(1) };
  const busy = (schedule: Schedule) => ({ ...freshState(schedule), decidedTo: at(1), runs: 1, timed: 1, last });

  test("skip: the firing comes to nothing, with the reason", () => {
    const schedule = hourly({ overlap: "skip" });
    const decision = decided(schedule, 2, { state: busy(schedule), isBusy: true });
    expect(decision).toMatchObject({
      state: { waiting: [], skipped: 1, runs: 1, decidedTo: at(2) },
      dropped: [{ event: "skipped", at: at(2), reason: "run 1 has not ended" }],
    });
  });

  test("skip: a run that has not begun counts too", () => {
    const schedule = hourly({ overlap: "skip" });
    const first = decided(schedule, 1)?.state as ScheduleState;
    expect(decided(schedule, 2, { state: first })?.dropped).toMatchObject([{ reason: "run 1 has not begun" }]);
  });

  test("queue and parallel: it is to run", () => {
    for (const overlap of ["queue", "parallel"] as const) {
      const schedule = hourly({ overlap });
      expect(decided(schedule, 2, { state: busy(schedule), isBusy: true })?.state).toMatchObject({ runs: 2, waiting: [{ run: 2 }] });
    }
  });

  test("queue: no more than a hundred wait", () => {
    const schedule = hourly({ overlap: "queue", catchUp: "all", catchUpLimit: 500 });
    const decision = decided(schedule, 200, { isBusy: true });
    expect(decision?.state.waiting).toHaveLength(100);
    expect(decision?.dropped.at(-1)?.reason).toBe("100 runs wait already");
  });
});

describe("pauses and ends", () => {
  test("nothing falls due in a pause, and only what a person asked for runs", () => {
    const paused = hourly({ paused: { at: at(0), by: "ada", reason: "later" } });
    expect(decided(paused, 3)).toBeUndefined();
    const state = { ...freshState(paused), waiting: [{ key: at(1), at: at(1), run: 1 }] };
    expect(nextFiring(paused, state)).toBeUndefined();
    const asked = { key: "asked.1", at: at(2), run: 2, by: "ada" };
    expect(nextFiring(paused, { ...state, waiting: [...state.waiting, asked] })).toEqual(asked);
  });

  test("after as many runs as were wanted it is over", () => {
    const schedule = hourly({ limit: 2, catchUp: "all", overlap: "parallel" });
    const decision = decided(schedule, 3.5);
    expect(decision?.state.waiting).toHaveLength(2);
    const done = { ...(decision?.state as ScheduleState), waiting: [] };
    expect(decided(schedule, 9, { state: done })).toBeUndefined();
    expect(statusOf(schedule, done)).toBe("ended");
  });

  test("a single time that has come is over once it is done", () => {
    const once = hourly({ when: { kind: "once", at: at(1) } });
    expect(statusOf(once, freshState(once))).toBe("active");
    const decision = decided(once, 1);
    expect(statusOf(once, decision?.state as ScheduleState)).toBe("active");
    expect(statusOf(once, { ...(decision?.state as ScheduleState), waiting: [] })).toBe("ended");
  });
});
