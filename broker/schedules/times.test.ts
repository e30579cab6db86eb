import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { When } from "../../protocol/index.js";
import { checkCron, latestDue, localTime, nextDue, upcoming } from "./times.js";

const ms = (time: string) => Date.parse(time);
const iso = (times: number[]) => times.map((time) => new Date(time).toISOString().replace(".000Z", "Z"));
const berlin = (cron: string) => ({ when: checkCron(cron, "Europe/Berlin") });

describe("cron in a time zone", () => {
  test("the hour is the zone's, in summer and in winter", () => {
    expect(iso(upcoming(berlin("30 9 * * *"), ms("2026-03-27T12:00:00Z"), 3))).toEqual([
      "2026-03-28T08:30:00Z",
      "2026-03-29T07:30:00Z",
      "2026-03-30T07:30:00Z",
    ]);
  });

  test("a time that is left out by the change to summer time is due when the clock has jumped over it", () => {
    expect(iso(upcoming(berlin("30 2 * * *"), ms("2026-03-28T12:00:00Z"), 2))).toEqual(["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
  });

  test("a time that comes twice by the change to winter time is due once, the first time", () => {
    expect(iso(upcoming(berlin("30 2 * * *"), ms("2026-10-24T12:00:00Z"), 2))).toEqual(["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
  });

  test("what is due every so many minutes goes on through the hour that comes twice", () => {
    expect(iso(upcoming(berlin("*/30 * * * *"), ms("2026-10-25T00:00:00Z"), 4))).toEqual([
      "2026-10-25T00:30:00Z",
      "2026-10-25T01:00:00Z",
      "2026-10-25T01:30:00Z",
      "2026-10-25T02:00:00Z",
    ]);
  });

  test("what was due is the same whether it is counted forwards or backwards, over every change of the clocks", () => {
    const cron = fc.constantFrom("30 2 * * *", "*/20 * * * *", "0 */5 * * *", "15 3 * * SUN", "0 0 1 * *", "59 1,2,3 * * *");
    const zone = fc.constantFrom("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC");
    const start = fc.integer({ min: ms("2026-03-01T00:00:00Z"), max: ms("2026-11-30T00:00:00Z") });
    fc.assert(
      fc.property(fc.tuple(cron, zone, start, fc.integer({ min: 1, max: 3 * 86_400_000 })), ([expression, timezone, after, spanMs]) => {
        const timed = { when: checkCron(expression, timezone) };
        const to = after + spanMs;
        const forwards: number[] = [];
        for (let next = nextDue(timed, after); next !== undefined && next <= to; next = nextDue(timed, next)) forwards.push(next);
        expect(latestDue(timed, { after, to, most: 5 })).toEqual(forwards.slice(-5));
      }),
      { numRuns: 60 },
    );
  });

  test("the time itself counts as due, and not as next", () => {
    const at = ms("2026-06-01T10:00:00Z");
    const timed = { when: checkCron("@hourly", "UTC") };
    expect(iso(latestDue(timed, { after: at - 1, to: at, most: 9 }))).toEqual(["2026-06-01T10:00:00Z"]);
    expect(latestDue(timed, { after: at, to: at, most: 9 })).toEqual([]);
    expect(nextDue(timed, at)).toBe(ms("2026-06-01T11:00:00Z"));
  });
});

describe("what can not be a time is refused", () => {
  test.each([
    ["0 0 31 2 *", /never due/],
    ["61 * * * *", /can not be read/],
    ["* * * * * *", /can not be read/],
    ["0 9 * *", /can not be read/],
    ["@reboot", /can not be read/],
    ["often", /can not be read/],
  ])("cron %s", (cron, message) => {
    expect(() => checkCron(cron, "UTC")).toThrow(message);
  });

  test.each([
    ["Europe/Berln", /did you mean Europe\/Berlin/],
    ["Berlin", /did you mean Europe\/Berlin/],
    ["new york", /did you mean America\/New_York/],
    ["Mars/Base", /is not known$/],
    ["+02:00", /is not known$/],
  ])("zone %s", (zone, message) => {
    expect(() => checkCron("@daily", zone)).toThrow(message);
  });

  test("a local time is read in its zone", () => {
    expect(localTime("2026-12-01T03:00", "Europe/Berlin")).toBe("2026-12-01T02:00:00.000Z");
    expect(() => localTime("2026-13-01T03:00", "Europe/Berlin")).toThrow(/is no time/);
  });
});

describe("intervals and single times", () => {
  const hourly: When = { kind: "interval", everyMs: 3_600_000, startAt: "2026-06-01T00:10:00.000Z" };

  test("an interval is counted from its start", () => {
    expect(iso(upcoming({ when: hourly }, ms("2026-05-01T00:00:00Z"), 2))).toEqual(["2026-06-01T00:10:00Z", "2026-06-01T01:10:00Z"]);
    expect(iso(upcoming({ when: hourly }, ms("2026-06-01T03:10:00Z"), 1))).toEqual(["2026-06-01T04:10:00Z"]);
    const span = { after: ms("2026-06-01T00:00:00Z"), to: ms("2026-06-01T03:09:59Z"), most: 9 };
    expect(iso(latestDue({ when: hourly }, span))).toEqual(["2026-06-01T00:10:00Z", "2026-06-01T01:10:00Z", "2026-06-01T02:10:00Z"]);
  });

  test("a single time is due once", () => {
    const once = { when: { kind: "once", at: "2026-06-01T00:10:00.000Z" } as const };
    expect(upcoming(once, 0, 3)).toEqual([ms("2026-06-01T00:10:00Z")]);
    expect(nextDue(once, ms("2026-06-01T00:10:00Z"))).toBeUndefined();
  });

  test("nothing is due after the end", () => {
    const ended = { when: hourly, until: "2026-06-01T01:10:00.000Z" };
    expect(upcoming(ended, 0, 9)).toHaveLength(2);
    expect(iso(latestDue(ended, { after: 0, to: ms("2026-07-01T00:00:00Z"), most: 1 }))).toEqual(["2026-06-01T01:10:00Z"]);
  });
});
