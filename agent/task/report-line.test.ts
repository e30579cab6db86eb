import { expect, test } from "vitest";
import { parseOutputs, parseReportLine, pointsOf } from "./report-line.js";

test("known lines are read, those of a newer protocol are left alone, and bad ones say what is wrong", () => {
  expect(parseReportLine('{"t":"scalar","k":"loss","v":"-inf","step":2,"extra":1}')).toEqual({
    line: { t: "scalar", k: "loss", v: Number.NEGATIVE_INFINITY, step: 2 },
  });
  expect(parseReportLine('{"t":"hologram","x":1}')).toEqual({ unknown: "hologram" });
  expect(parseReportLine("loss=1")).toEqual({ problem: "not JSON" });
  expect(parseReportLine('{"k":"loss"}')).toEqual({ problem: 'no "t" field' });
  expect(parseReportLine('{"t":"scalar","k":"loss"}')).toMatchObject({ problem: expect.stringMatching(/^scalar: v /) });
});

test("points without a step count up, each key for itself", () => {
  const steps = new Map<string, number>();
  const next = (key: string) => {
    const step = steps.get(key) ?? 0;
    steps.set(key, step + 1);
    return step;
  };
  const points = [{ t: "scalar", k: "a", v: 1 } as const, { t: "scalars", kv: { a: 2, b: 3 }, ts: 10 } as const].flatMap((line) =>
    pointsOf(line, next),
  );
  expect(points.map((point) => [point.key, point.step, point.value])).toEqual([
    ["a", 0, 1],
    ["a", 1, 2],
    ["b", 0, 3],
  ]);
  expect(points[1]?.time).toBe(10_000);
});

test("outputs are key=value lines, blocks, and JSON where it says so", () => {
  expect(parseOutputs('a=1\nb = x=y \nc=json:{"n":[1]}\nd<<END\ntwo\nlines\nEND\ne=json:{broken\n\n=nothing\n')).toEqual({
    a: "1",
    b: " x=y ",
    c: { n: [1] },
    d: "two\nlines",
    e: "json:{broken",
  });
});
