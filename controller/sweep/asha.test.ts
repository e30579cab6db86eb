import { describe, expect, test } from "vitest";
import { Asha, valueAt } from "./asha.js";

const at = (loss: number) => () => loss;

describe("ASHA", () => {
  test("lets the first of a rung go on, then only the best one in three", () => {
    const asha = new Asha({ minSteps: 1, factor: 3 });
    expect(asha.judge(1, 1, at(0.9))).toBeUndefined();
    expect(asha.judge(2, 1, at(0.1))).toBeUndefined();
    expect(asha.judge(3, 1, at(0.5))).toBe("at step 1 it was number 2 of 3, and the best 1 go on");
    expect(asha.judge(4, 1, at(0.05))).toBeUndefined();
    expect(asha.judge(5, 1, at(0.07))).toContain("number 2 of 5");
    expect(asha.judge(6, 1, at(0.08))).toContain("number 3 of 6, and the best 2 go on");
    expect(asha.judge(7, 1, at(0.06))).toBeUndefined();
  });

  test("judges each trial once at each rung, each three times as far", () => {
    const asha = new Asha({ minSteps: 2, factor: 3 });
    expect([asha.isDue(1, 1), asha.isDue(1, 2)]).toEqual([false, true]);
    asha.judge(1, 2, at(1));
    expect([5, 6].map((step) => asha.isDue(1, step))).toEqual([false, true]);
    asha.judge(1, 6, at(1));
    expect([17, 18].map((step) => asha.isDue(1, step))).toEqual([false, true]);
  });

  test("a trial that is looked at late is noted at every rung that it passed, and judged at the furthest", () => {
    const asha = new Asha({ minSteps: 1, factor: 2 });
    const rungs: number[] = [];
    asha.judge(1, 9, (rung) => rungs.push(rung));
    expect(rungs).toEqual([1, 2, 4, 8]);
    expect(asha.judge(2, 1, at(99))).toContain("at step 1 it was number 2 of 2");
    expect(asha.judge(3, 8, at(0))).toBeUndefined();
  });

  test("judges nobody from maxSteps on", () => {
    const asha = new Asha({ minSteps: 1, factor: 3, maxSteps: 9 });
    for (const trial of [1, 2, 3]) asha.judge(trial, 3, at(0));
    expect([asha.isDue(1, 100), asha.isDue(4, 1)]).toEqual([false, true]);
  });

  test("what is no number is worse than anything", () => {
    const asha = new Asha({ minSteps: 1, factor: 2 });
    asha.judge(1, 1, at(1e9));
    expect(asha.judge(2, 1, at(Number.NaN))).toContain("number 2 of 2");
    expect(asha.judge(3, 1, at(1e8))).toBeUndefined();
  });
});

test("what a metric had come to at a step does not depend on what came later", () => {
  const points = [3, 9, 1, 7].map((value, index) => ({ key: "acc", value, step: index + 1, time: 0 }));
  expect([2, 3].map((step) => valueAt(points, step, "last"))).toEqual([9, 1]);
  expect([1, 3, 4].map((step) => valueAt(points, step, "max"))).toEqual([3, 9, 9]);
  expect([1, 3].map((step) => valueAt(points, step, "min"))).toEqual([3, 1]);
  expect(valueAt(points, 0, "last")).toBeNaN();
});
