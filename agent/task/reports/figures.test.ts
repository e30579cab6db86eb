import { expect, test } from "vitest";
import { Figures, type FiguresState, MAX_METRICS } from "./figures.js";

function figures(state?: FiguresState) {
  const told = new Map<string, string>();
  return { told, figures: new Figures((key, text) => told.set(key, text), state) };
}
const point = (key: string, value: number, step?: number) => ({ key, value, step, time: 0 });

test("points without a step count up, each metric for itself; a given one does not change that", () => {
  const { figures: all } = figures();
  const steps = [point("a", 1), point("a", 2), point("b", 3), point("b", 4, 100), point("b", 5), point("a", 6)].map(
    (each) => all.add(each)?.step,
  );
  expect(steps).toEqual([0, 1, 0, 100, 1, 2]);
});

test("steps may go backwards: the last one reported is the last", () => {
  const { figures: all } = figures();
  for (const [step, value] of [
    [10, 1],
    [5, 3],
    [7, 2],
  ] as const)
    all.add(point("loss", value, step));
  expect(all.reported.metrics.loss).toEqual({ last: 2, lastStep: 7, min: 1, minStep: 10, max: 3, maxStep: 5, count: 3 });
});

test("whoever goes on from what was written down has the same figures, NaN and infinities too", () => {
  const { figures: first } = figures();
  for (const [i, value] of [1, Number.NaN, Number.NEGATIVE_INFINITY].entries()) first.add(point(`m${i}`, value));
  const { figures: second } = figures(JSON.parse(JSON.stringify(first.state)) as FiguresState);
  expect(second.reported).toEqual(first.reported);
  expect(second.add(point("m0", 9))?.step).toBe(1);
});

test("a million different metrics: the first 5,000 are kept, 200 in the record, the rest is counted and told", () => {
  const { figures: all, told } = figures();
  let kept = 0;
  for (let i = 0; i < 1_000_000; i++) if (all.add(point(`metric ${i}`, i))) kept++;
  all.finish();
  expect(kept).toBe(MAX_METRICS);
  expect(Object.keys(all.reported.metrics)).toHaveLength(200);
  expect(all.reported.metricsOmitted).toBe(MAX_METRICS - 200);
  expect(told.get("metrics")).toBe("a task has at most 5000 different metrics: 995000 points of further ones were left out");
});

test("a name of 10,000 characters is left out and told, and names that are strange are names", () => {
  const { figures: all, told } = figures();
  expect(all.add(point("x".repeat(10_000), 1))).toBeUndefined();
  expect(told.get("long names")).toMatch(/^a metric was left out: its name of 10000 characters, x{60}…, is longer than 256/);
  for (const name of ["a/../../b", "..", "größe/损失", "__proto__", "constructor", " ", "val.acc max"]) all.add(point(name, 1));
  expect(Object.keys(all.reported.metrics)).toEqual(["a/../../b", "..", "größe/损失", "__proto__", "constructor", " ", "val.acc max"]);
  expect(all.add(point("y".repeat(300), 1))).toBeUndefined();
  all.finish();
  expect(told.get("long names")).toMatch(/^2 points were left out/);
});

test("long names take no more of the record than there is", () => {
  const { figures: all } = figures();
  for (let i = 0; i < 200; i++) all.add(point(`${i}${"ü".repeat(250)}`, i));
  expect(Buffer.byteLength(JSON.stringify(all.reported))).toBeLessThan(16 * 1024);
  expect(all.reported.metricsOmitted).toBeGreaterThan(180);
});
