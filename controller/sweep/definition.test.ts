import { expect, test } from "vitest";
import { configOf, type SweepOptions } from "./definition.js";
import { parseSweepFile } from "./file.js";

const FINE = {
  name: "rates",
  template: "iris/train",
  objective: { metric: "val/acc", goal: "max" },
  parameters: { lr: { min: 1e-4, max: 1, log: true } },
  budget: { trials: 10 },
} satisfies SweepOptions;

test("what is left out has a default, and durations may be words", () => {
  expect(configOf({ ...FINE, budget: { trials: 80, time: "1h30m" }, earlyStop: true })).toMatchObject({
    method: "tpe",
    parallel: 4,
    objective: { of: "last" },
    space: [{ kind: "number", path: "General/lr", min: 1e-4, max: 1, isLog: true }],
    budget: { trials: 80, timeMs: 5_400_000, failures: 20 },
    earlyStop: { minSteps: 1, factor: 3 },
  });
  expect(configOf({ ...FINE, method: "asha" })).toMatchObject({ method: "random", earlyStop: { factor: 3 }, budget: { failures: 10 } });
});

test.each<[string, unknown, string]>([
  ["a misspelt key", { ...FINE, budget: { trails: 10 } }, 'budget.trails: there is no "trails" here; did you mean trials?'],
  ["a misspelt key of a range", { ...FINE, parameters: { lr: { min: 0, max: 1, stepp: 1 } } }, "did you mean step?"],
  ["nothing to search", { ...FINE, parameters: {} }, "there is nothing to search"],
  [
    "ends the wrong way round",
    { ...FINE, parameters: { lr: { min: 1, max: 0 } } },
    "parameters.lr.max: it must be more than min, which is 1",
  ],
  ["a log scale from 0", { ...FINE, parameters: { lr: { min: 0, max: 1, log: true } } }, "on a log scale it must be more than 0"],
  ["no values", { ...FINE, parameters: { lr: [] } }, "there is no value to choose"],
  ["no end", { ...FINE, budget: {} }, "this search has no end by itself"],
  ["a grid without steps", { ...FINE, method: "grid" }, "a grid has no end here"],
  [
    "a grid of millions",
    { ...FINE, method: "grid", budget: {}, parameters: { a: { min: 1, max: 1e3, step: 1 }, b: { min: 1, max: 1e3, step: 1 } } },
    "more than 100000",
  ],
  [
    "a condition on nothing",
    { ...FINE, parameters: { ...FINE.parameters, m: { values: [1], when: { rl: 1 } } } },
    "the sweep has no parameter General/rl",
  ],
  ["a circle", { ...FINE, parameters: { a: { values: [1], when: { b: 1 } }, b: { values: [1], when: { a: 1 } } } }, "go round in a circle"],
  ["no objective", { ...FINE, objective: undefined }, "objective: it is missing"],
  ["a metric that is no text", { ...FINE, objective: { metric: 3, goal: "max" } }, "objective.metric"],
  ["a time that is none", { ...FINE, budget: { trials: 1, time: "soon" } }, "a duration is wanted"],
  [
    "an early stop with a slip",
    { ...FINE, earlyStop: { minStep: 3 } },
    'earlyStop.minStep: there is no "minStep" here; did you mean minSteps?',
  ],
  ["the same parameter twice", { ...FINE, parameters: { lr: [1], "General/lr": [2] } }, "General/lr is there twice"],
  ["no object at all", 7, "this is no sweep"],
])("%s is refused with its place", (_what, written, message) => {
  try {
    configOf(written);
    expect.unreachable("it was taken");
  } catch (error) {
    expect(error).toMatchObject({ code: "invalid_argument" });
    expect(`${(error as Error).message} ${(error as { why?: string }).why ?? ""}`).toContain(message);
  }
});

const FILE = `name: rates
template: iris/train
objective: {metric: val/acc, goal: max}
parameters:
  General/lr: {min: 1e-4, max: 1, log: true}
  General/optimizer: [adam, sgd]
budget:
  trials: 10
earlyStop:
`;

test("a file says the same as code", async () => {
  expect(configOf(await parseSweepFile(FILE, "sweep.yaml"))).toMatchObject({
    space: [{ path: "General/lr" }, { path: "General/optimizer", values: ["adam", "sgd"] }],
    earlyStop: { minSteps: 1 },
  });
});

test.each([
  [FILE.replace("trials", "trails"), 'sweep.yaml:8:3 budget.trails: there is no "trails" here; did you mean trials?'],
  [FILE.replace("max: 1,", "max: 0,"), "sweep.yaml:5:27 parameters.General/lr.max: it must be more than min"],
  [FILE.replace(/^objective.*\n/m, ""), "sweep.yaml:1:1 objective: it is missing"],
  [FILE.replace("goal: max", "goal: more"), "sweep.yaml:3:30 objective.goal"],
  [FILE.replace("log: true}", "log: true"), "sweep.yaml:6:3: this is no YAML"],
  ["", "sweep.yaml holds nothing"],
])("a problem in a file has its line and column", async (text, message) => {
  await expect(parseSweepFile(text, "sweep.yaml")).rejects.toThrow(message);
});
