import { expect, test } from "vitest";
import { age, bar, duration, figure, size } from "./quantities.js";

test("durations show two units at most", () => {
  expect([12, 7_000, 60_000, 728_000, 11_100_000, 187_200_000].map(duration)).toEqual(["12ms", "7s", "1m", "12m08s", "3h05m", "2d4h"]);
});

test("ages show one unit, and a dash for no time", () => {
  const now = Date.parse("2026-01-01T01:00:00Z");
  expect(age("2026-01-01T00:57:30Z", now)).toBe("2m");
  expect(age("2026-01-01T01:00:05Z", now)).toBe("0s");
  expect(age(undefined, now)).toBe("—");
});

test("sizes are binary with three digits at most", () => {
  expect([0, 1023, 1536, 98 * 1024 ** 2, 5.3 * 1024 ** 3].map(size)).toEqual(["0 B", "1023 B", "1.5 KiB", "98 MiB", "5.3 GiB"]);
});

test("figures keep four significant digits", () => {
  expect([3, 0.142_39, 1e-7, Number.NaN].map(figure)).toEqual(["3", "0.1424", "1e-7", "NaN"]);
});

test("bars stay inside their width whatever the share", () => {
  expect([bar(0.62), bar(-1, 4), bar(7, 4), bar(Number.NaN, 4)]).toEqual(["██████░░░░  62 %", "░░░░   0 %", "████ 100 %", "░░░░   0 %"]);
});
