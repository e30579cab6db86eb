import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addPoint } from "./summary.js";
import type { MetricSummary } from "./task-record.js";

const summarize = (values: number[]) =>
  values.reduce<MetricSummary | undefined>((summary, value, step) => addPoint(summary, { key: "k", step, value, time: 0 }), undefined);

describe("a metric's figures", () => {
  test("are the last, the lowest and the highest, each with its step", () => {
    expect(summarize([3, 1, 4, 1, 5])).toEqual({ last: 5, lastStep: 4, min: 1, minStep: 1, max: 5, maxStep: 4, count: 5 });
  });

  test("a loss that diverged shows as the last figure, and counts, but is no minimum or maximum", () => {
    expect(summarize([2, Number.NaN])).toEqual({ last: Number.NaN, lastStep: 1, min: 2, minStep: 0, max: 2, maxStep: 0, count: 2 });
    expect(summarize([2, Number.POSITIVE_INFINITY])).toMatchObject({ last: Number.POSITIVE_INFINITY, max: 2, count: 2 });
    expect(summarize([2, Number.NEGATIVE_INFINITY])).toMatchObject({ last: Number.NEGATIVE_INFINITY, min: 2, count: 2 });
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "the first finite figure after %d is the minimum and the maximum",
    (first) => {
      expect(summarize([first, 7])).toEqual({ last: 7, lastStep: 1, min: 7, minStep: 1, max: 7, maxStep: 1, count: 2 });
    },
  );

  test("are those of all points, however they came", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }), (values) => {
        const summary = summarize(values);
        expect([summary?.count, summary?.last]).toEqual([values.length, values.at(-1)]);
        // A zero with a sign is no lower than one without.
        expect((summary?.min ?? 1) - Math.min(...values)).toBe(0);
        expect((summary?.max ?? 1) - Math.max(...values)).toBe(0);
      }),
    );
  });
});
