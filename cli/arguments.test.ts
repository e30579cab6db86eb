import fc from "fast-check";
import { expect, test } from "vitest";
import { collectPair, collectParameter, collectVariable, parseCount, parseDuration, parseGpus } from "./arguments.js";

test("durations are read with their units, a bare number is seconds", () => {
  expect(["90s", "15m", "1h30m", "2d", "250ms", "3", "0.5h"].map(parseDuration)).toEqual([
    90_000, 900_000, 5_400_000, 172_800_000, 250, 3_000, 1_800_000,
  ]);
});

test.each(["", "abc", "5 m", "-3s", "1y", "s"])("%j is no duration", (text) => {
  expect(() => parseDuration(text)).toThrow("90s");
});

test("a parameter's value is JSON where it reads as JSON, else text", () => {
  const values = [
    "General/lr=0.1",
    "General/flag=true",
    "General/list=[1,2]",
    "General/name=resnet",
    "General/empty=",
    "General/eq=a=b",
    'General/text="7"',
  ];
  expect(values.reduce((all, each) => collectParameter(each, all), {})).toEqual({
    "General/lr": 0.1,
    "General/flag": true,
    "General/list": [1, 2],
    "General/name": "resnet",
    "General/empty": "",
    "General/eq": "a=b",
    "General/text": "7",
  });
});

test("a number that would lose digits stays text", () => {
  expect(collectParameter("General/id=12345678901234567890")).toEqual({ "General/id": "12345678901234567890" });
});

test("every text survives as a parameter's value", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const value = collectParameter(`A/b=${JSON.stringify(text)}`)["A/b"];
      expect(value).toBe(text);
    }),
  );
});

test("pairs and variables need a name", () => {
  expect(() => collectParameter("lr")).toThrow("Section/name=value");
  expect(() => collectPair("=x")).toThrow("key=value");
  expect(() => collectVariable("NAVVY_NOT_SET_ANYWHERE")).toThrow("not set");
});

test("counts and GPU choices are checked", () => {
  expect(parseCount("12")).toBe(12);
  expect(() => parseCount("1.5")).toThrow("whole number");
  expect([parseGpus("auto"), parseGpus("0,2")]).toEqual(["auto", [0, 2]]);
  expect(() => parseGpus("one")).toThrow("GPU numbers");
});
