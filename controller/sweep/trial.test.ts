import { expect, test } from "vitest";
import type { TaskRecord } from "../../protocol/index.js";
import { pageOf } from "./sweep-report.js";
import { bestOf, ranked, STOPPED, type TrialView, toldOf, viewOf } from "./trial.js";

const OBJECTIVE = { metric: "acc", goal: "max", of: "last" } as const;
const SPACE = [{ kind: "number" as const, path: "General/lr", min: 0, max: 1, isLog: false, when: [] }];

function record(status: TaskRecord["status"], acc?: number, more: object = {}): TaskRecord {
  const figures = { last: acc, lastStep: 4, min: 0, minStep: 0, max: 1, maxStep: 2, count: 3 };
  const reported = { outputs: {}, metrics: acc === undefined ? {} : { acc: figures }, artifacts: [], notes: [], metricsOmitted: 0 };
  return {
    id: `task-${status}`,
    status,
    reason: status,
    spec: { parameters: { General: { lr: 0.5 } } },
    reported,
    ...more,
  } as unknown as TaskRecord;
}

const view = (...of: Parameters<typeof record>) => viewOf(record(...of), 1, { objective: OBJECTIVE, space: SPACE });

test("a trial is what its record says, and one that reported nothing of use has failed", () => {
  expect(view("completed", 0.9)).toEqual({
    number: 1,
    task: "task-completed",
    state: "completed",
    parameters: { "General/lr": 0.5 },
    value: 0.9,
    step: 4,
  });
  expect(view("published", 0.9).state).toBe("completed");
  expect(view("completed")).toMatchObject({ state: "failed", why: "it reported no acc; it has: none" });
  expect(view("completed", Number.NaN)).toMatchObject({ state: "failed", why: "acc is no number" });
  expect(view("failed", 0.1, { outcome: { kind: "exited", code: 3 } })).toMatchObject({ state: "failed", why: "exited 3" });
  expect(view("aborted", 0.1, { abort: { reason: `${STOPPED}at step 1` } })).toMatchObject({ state: "stopped", why: "at step 1" });
  expect(view("aborted", 0.1, { abort: { reason: "by hand" } }).state).toBe("aborted");
});

test("what the template has for a parameter that did not apply is none of a trial's", () => {
  const opt = { kind: "choice" as const, path: "Opt/name", values: ["adam", "sgd"], when: [] };
  const momentum = { kind: "choice" as const, path: "Opt/momentum", values: [0, 0.9], when: [{ path: "Opt/name", values: ["sgd"] }] };
  const given = (name: string) =>
    viewOf(record("completed", 0.9, { spec: { parameters: { Opt: { name, momentum: 0.9 } } } }), 1, {
      objective: OBJECTIVE,
      space: [opt, momentum],
    }).parameters;
  expect([given("adam"), given("sgd")]).toEqual([{ "Opt/name": "adam" }, { "Opt/name": "sgd", "Opt/momentum": 0.9 }]);
});

test("a sampler is told of stopped trials by what they had reached, of failed ones that they did", () => {
  const told = (state: TrialView["state"], value?: number) =>
    toldOf({ number: 1, task: "t", state, parameters: {}, value, step: 4 }, OBJECTIVE);
  expect(told("completed", 0.9)).toEqual({ parameters: {}, state: "completed", loss: -0.9, step: 4 });
  expect(told("stopped", 0.2)).toEqual({ parameters: {}, state: "stopped", loss: -0.2, step: 4 });
  expect(told("aborted")).toEqual({ parameters: {}, state: "stopped" });
  expect(told("failed", 0.9)).toEqual({ parameters: {}, state: "failed" });
  expect(told("running", 0.9)).toEqual({ parameters: {}, state: "running" });
});

const TRIALS = (
  [
    ["stopped", 0.99],
    ["completed", 0.5],
    ["failed", 1],
    ["completed", 0.7],
    ["running", 0.8],
    ["completed", 0.7],
  ] as const
).map(([state, value], index): TrialView => {
  return { number: index + 1, task: `01TASK${index + 1}`, state, value, step: 3, parameters: { "General/lr": index / 10 } };
});

test("completed trials are ranked before all others, the first of equals before the later ones", () => {
  expect(ranked(TRIALS, OBJECTIVE).map(({ number }) => number)).toEqual([4, 6, 2, 1, 5, 3]);
  expect(ranked(TRIALS, { ...OBJECTIVE, goal: "min" }).map(({ number }) => number)).toEqual([2, 4, 6, 1, 5, 3]);
  expect(bestOf(TRIALS, OBJECTIVE)?.number).toBe(4);
  expect(
    bestOf(
      TRIALS.filter(({ state }) => state !== "completed"),
      OBJECTIVE,
    ),
  ).toBeUndefined();
});

test("the page has a row for each, with a rank for those that completed", () => {
  expect(pageOf(TRIALS, { name: "rates", objective: OBJECTIVE, space: SPACE }).split("\n").slice(0, 9)).toEqual([
    "# rates",
    "",
    "Highest `acc` first. 1 stopped, 3 completed, 1 failed, 1 running",
    "",
    "| rank | trial | task | state | acc | step | General/lr |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    "| 1 | 4 | 1TASK4 | completed | 0.7 | 3 | 0.3 |",
    "| 2 | 6 | 1TASK6 | completed | 0.7 | 3 | 0.5 |",
    "| 3 | 2 | 1TASK2 | completed | 0.5 | 3 | 0.1 |",
  ]);
});
