import { expect, test } from "vitest";
import type { ParameterValue } from "../../protocol/index.js";
import { Parzen } from "./parzen.js";
import { Random } from "./random.js";
import { Grid, RandomSearch, type Sampler, type Told } from "./sampler.js";
import { type Assignment, combinations, type Dimension, nameOf } from "./space.js";
import { parseSpace } from "./space-definition.js";
import { parted, Tpe } from "./tpe.js";

const spaceOf = (parameters: Record<string, unknown>) => {
  const { space, problems } = parseSpace(parameters);
  expect(problems).toEqual([]);
  return space;
};

type Problem = { parameters: Record<string, unknown>; lossOf: (at: Record<string, ParameterValue>) => number };

/** Branin: three lowest points, all 0.397887. */
const BRANIN: Problem = {
  parameters: { "F/x": { min: -5, max: 10 }, "F/y": { min: 0, max: 15 } },
  lossOf: ({ "F/x": x, "F/y": y }) => {
    const [a, b] = [x as number, y as number];
    return (b - (5.1 / (4 * Math.PI ** 2)) * a * a + (5 / Math.PI) * a - 6) ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(a) + 10;
  },
};
/** A bowl over powers of ten. */
const LOG: Problem = {
  parameters: { "F/lr": { min: 1e-6, max: 1, log: true }, "F/decay": { min: 1e-8, max: 0.1, log: true } },
  lossOf: (at) => (Math.log10(at["F/lr"] as number) + 3) ** 2 + 0.5 * (Math.log10(at["F/decay"] as number) + 5) ** 2,
};
/** One right value of five for each of four. */
const CHOICES: Problem = {
  parameters: Object.fromEntries(["a", "b", "c", "d"].map((name) => [`F/${name}`, { values: ["p", "q", "r", "s", "t"] }])),
  lossOf: (at) => ["q", "t", "p", "s"].reduce((sum, right, i) => sum + (at[`F/${"abcd"[i]}`] === right ? 0 : i + 1), 0),
};

/** The lowest loss that a search of so many trials came to, `parallel` of them at once. */
function search(sampler: Sampler, { lossOf }: Problem, { trials, parallel = 1 }: { trials: number; parallel?: number }): number {
  const told: Told[] = [];
  for (let number = 1; number <= trials; number++) {
    const seen = told.map((trial, at): Told => (at < number - parallel ? trial : { parameters: trial.parameters, state: "running" }));
    const parameters = sampler.propose(number, seen);
    if (!parameters) break;
    told.push({ parameters, state: "completed", loss: lossOf(parameters) });
  }
  return Math.min(...told.map(({ loss = Number.POSITIVE_INFINITY }) => loss));
}

const SEEDS = Array.from({ length: 25 }, (_, index) => index + 1);
const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

test.each([
  ["Branin", BRANIN, 0.65],
  ["a bowl on a log scale", LOG, 0.25],
  ["choices", CHOICES, 0.5],
])("TPE finds lower points of %s than random search does with as many trials, also several at once", (_name, problem, share) => {
  const space = spaceOf(problem.parameters);
  const medianOf = (make: (seed: number) => Sampler, parallel?: number) =>
    median(SEEDS.map((seed) => search(make(seed), problem, { trials: 60, ...(parallel ? { parallel } : {}) })));
  const random = medianOf((seed) => new RandomSearch(space, seed));
  expect(medianOf((seed) => new Tpe(space, seed))).toBeLessThan(share * random);
  expect(medianOf((seed) => new Tpe(space, seed), 4)).toBeLessThan(1.1 * share * random);
});

const MIXED = {
  "Opt/name": { values: ["adam", "sgd"] },
  "Opt/momentum": { min: 0, max: 0.9, step: 0.3, when: { "Opt/name": "sgd" } },
  "Net/layers": { min: 1, max: 3, integer: true },
};

test("of a space with more combinations than there is room for only the first are made, however long its ranges are", () => {
  const long = spaceOf({ "F/n": { min: 0, max: 2 ** 40, integer: true }, "F/x": { min: 0, max: 1, step: 1e-300 } });
  expect(combinations(long, 3)).toEqual([0, 1, 2].map((count) => ({ "F/n": 0, "F/x": count * 1e-300 })));
  expect(combinations(spaceOf({ "F/n": { min: 0, max: 1e6, integer: true } }), 200_000)).toHaveLength(200_000);
  const random = new RandomSearch(long, 1);
  expect(random.size).toBeUndefined();
  expect(Object.keys(random.propose(1, []) ?? {})).toEqual(["F/n", "F/x"]);
});

test("a grid is every combination once, in order; a parameter that does not apply is not there", () => {
  const grid = new Grid(spaceOf(MIXED));
  const all = Array.from({ length: grid.size }, (_, index) => grid.propose(index + 1));
  expect(all).toHaveLength(3 + 4 * 3);
  expect(new Set(all.map((each) => JSON.stringify(each))).size).toBe(15);
  expect(all[0]).toEqual({ "Opt/name": "adam", "Net/layers": 1 });
  expect(all.at(-1)).toEqual({ "Opt/name": "sgd", "Opt/momentum": 0.9, "Net/layers": 3 });
  expect(grid.propose(16)).toBeUndefined();
});

test.each([
  ["random", RandomSearch],
  ["TPE", Tpe],
])("%s search tries each combination of a small space once, then ends", (_name, Search) => {
  const sampler = new Search(spaceOf(MIXED), 7);
  const told: Told[] = [];
  for (let number = 1; ; number++) {
    const parameters = sampler.propose(number, told);
    if (!parameters) break;
    told.push({ parameters, state: "completed", loss: number });
  }
  expect(new Set(told.map(({ parameters }) => nameOf(parameters))).size).toBe(15);
  expect(told).toHaveLength(15);
});

test.each([
  ["random", RandomSearch],
  ["TPE", Tpe],
])("what %s search proposes is settled by the seed, the number and the results", (_name, Search) => {
  const space = spaceOf({ ...LOG.parameters, ...MIXED });
  const told = Array.from({ length: 20 }, (_, index): Told => {
    return { parameters: new RandomSearch(space, 3).propose(index + 1, []) ?? {}, state: "completed", loss: (index * 7) % 20 };
  });
  const propose = (seed: number, number: number) => new Search(space, seed).propose(number, told);
  expect(propose(5, 21)).toEqual(propose(5, 21));
  expect(propose(5, 21)).not.toEqual(propose(6, 21));
  expect(propose(5, 21)).not.toEqual(propose(5, 22));
});

test("drawn values keep to their ends, steps and scale", () => {
  const space = spaceOf({
    "F/lr": { min: 1e-5, max: 0.1, log: true },
    "F/width": { min: 8, max: 64, step: 8 },
    "F/units": { min: 1, max: 1000, log: true, integer: true },
  });
  const drawn = Array.from({ length: 2_000 }, (_, index) => new RandomSearch(space, 1).propose(index + 1, []) as Record<string, number>);
  const share = (test: (each: Record<string, number>) => boolean) => drawn.filter(test).length / drawn.length;
  expect(share((each) => (each["F/lr"] ?? 0) >= 1e-5 && (each["F/lr"] ?? 1) <= 0.1)).toBe(1);
  expect(share((each) => (each["F/lr"] ?? 1) < 1e-3)).toBeCloseTo(0.5, 1);
  expect(new Set(drawn.map((each) => each["F/width"]))).toEqual(new Set([8, 16, 24, 32, 40, 48, 56, 64]));
  expect(share((each) => each["F/width"] === 8)).toBeCloseTo(1 / 8, 1);
  expect(share((each) => Number.isInteger(each["F/units"]) && (each["F/units"] ?? 0) >= 1 && (each["F/units"] ?? 0) <= 1000)).toBe(1);
});

test("failed trials are the worst, stopped ones stand behind the completed, those that run count among the rest", () => {
  const trial = (state: Told["state"], loss?: number, step?: number): Told => ({ parameters: { n: loss ?? 0 }, state, loss, step });
  const completed = [3, 1, 2, 9, 8, 7, 6].map((loss) => trial("completed", loss));
  const others = [trial("stopped", 0.1, 3), trial("failed"), trial("running"), trial("stopped", 0.5, 9)];
  const { good, rest } = parted([...others, ...completed]);
  expect(good.map(({ loss }) => loss)).toEqual([1, 2]);
  expect(rest.map(({ state }) => state)).toEqual([...Array<string>(5).fill("completed"), "stopped", "stopped", "failed", "running"]);
  expect(rest.slice(5, 7).map(({ step }) => step)).toEqual([9, 3]);
  expect(parted([trial("failed"), trial("failed")]).good).toEqual([]);
});

test("a parameter that never completed is drawn, not learned", () => {
  const space = spaceOf(MIXED);
  const told = Array.from({ length: 12 }, (_, index): Told => {
    return { parameters: { "Opt/name": "adam", "Net/layers": (index % 3) + 1 } as Assignment, state: "completed", loss: index };
  });
  const sgd = Array.from({ length: 60 }, (_, seed) => new Tpe(space, seed).propose(13, told)).filter(
    (each) => each?.["Opt/name"] === "sgd",
  );
  expect(sgd.length).toBeGreaterThan(0);
  for (const each of sgd) expect([0, 0.3, 0.6, 0.9]).toContain(each?.["Opt/momentum"]);
});

test("a Parzen estimator's density is one over its range, and high where there are observations", () => {
  const parzen = new Parzen([2, 2.1, 2.2, 9], { low: 0, high: 10 });
  const steps = 10_000;
  const integral =
    Array.from({ length: steps }, (_, i) => parzen.density(((i + 0.5) * 10) / steps)).reduce((a, b) => a + b, 0) * (10 / steps);
  expect(integral).toBeCloseTo(1, 4);
  expect(parzen.density(2.1)).toBeGreaterThan(2 * parzen.density(6));
  const drawn = Array.from({ length: 5_000 }, (_, seed) => parzen.draw(new Random(`${seed}`)));
  expect(drawn.every((place) => place >= 0 && place <= 10)).toBe(true);
  const near = drawn.filter((place) => place > 1.5 && place < 2.7).length / drawn.length;
  const expected = Array.from({ length: 1_200 }, (_, i) => parzen.density(1.5 + (i + 0.5) / 1000)).reduce((a, b) => a + b, 0) / 1000;
  expect(near).toBeCloseTo(expected, 1);
});

test("a number's seed gives evenly spread numbers", () => {
  const random = new Random("seed");
  const drawn = Array.from({ length: 20_000 }, () => random.uniform());
  for (let bin = 0; bin < 10; bin++) expect(drawn.filter((each) => Math.floor(each * 10) === bin).length).toBeGreaterThan(1_800);
  const normal = Array.from({ length: 20_000 }, () => random.normal());
  const mean = normal.reduce((a, b) => a + b, 0) / normal.length;
  const variance = normal.reduce((sum, each) => sum + (each - mean) ** 2, 0) / normal.length;
  expect([Math.abs(mean) < 0.03, Math.abs(variance - 1) < 0.05]).toEqual([true, true]);
});

test("the same dimension in other words", () => {
  expect(spaceOf({ lr: [1, 2], "General/one": 5 })).toEqual<Dimension[]>([
    { kind: "choice", path: "General/lr", values: [1, 2], when: [] },
    { kind: "choice", path: "General/one", values: [5], when: [] },
  ]);
});
