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

test("numbers that JSON has no word for are kept, in all the ways that languages write them", () => {
  const values = ['"nan"', '"NaN"', "NaN", '"inf"', "Infinity", "-Infinity", "1e999"].map((v) => {
    const read = parseReportLine(`{"t":"scalar","k":"NaN","v":${v}}`);
    return "line" in read && read.line.t === "scalar" ? [read.line.k, read.line.v] : read;
  });
  const [nan, inf] = [Number.NaN, Number.POSITIVE_INFINITY];
  expect(values).toEqual([nan, nan, nan, inf, inf, -inf, inf].map((v) => ["NaN", v]));
  expect(parseReportLine('{"t":"scalars","kv":{"a":NaN,"b":[NaN]}}')).toMatchObject({ problem: expect.stringMatching(/^scalars: kv\.b /) });
  expect(parseReportLine('{"t":"note","text":"NaN')).toEqual({ problem: "not JSON" });
});

test("a point has the time that its line names, in seconds; milliseconds are refused", () => {
  const read = parseReportLine('{"t":"scalars","kv":{"a":2,"b":3},"ts":10,"step":-7}');
  expect("line" in read && read.line.t === "scalars" && pointsOf(read.line)).toEqual([
    { key: "a", value: 2, time: 10_000, step: -7 },
    { key: "b", value: 3, time: 10_000, step: -7 },
  ]);
  expect(parseReportLine('{"t":"scalar","k":"a","v":1,"ts":1795336200250}')).toMatchObject({
    problem: expect.stringMatching(/^scalar: ts /),
  });
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

test("a wish to park names what ends it", () => {
  const id = "01JB7QRE000000000000000000";
  expect(parseReportLine(`{"t":"park","on":["${id}"],"until":"2031-01-01T00:00:00+02:00"}`)).toEqual({
    line: { t: "park", on: [id], until: "2031-01-01T00:00:00+02:00" },
  });
  expect(parseReportLine('{"t":"park","keys":true}')).toEqual({ line: { t: "park", on: [], keys: true } });
  expect(parseReportLine('{"t":"park"}')).toEqual({
    problem: 'park: names nothing that would wake it: "on", "until" or "keys" is needed',
  });
  expect(parseReportLine('{"t":"park","on":["train"]}')).toEqual({ problem: "park: on.0 is no task's id" });
  expect(parseReportLine('{"t":"park","until":"tomorrow"}')).toMatchObject({ problem: expect.stringMatching(/^park: until /) });
});
