import fc from "fast-check";
import { expect, test } from "vitest";
import { parseReportLine } from "../report-line.js";
import { batchesOf } from "./batches.js";
import { contentOf, type MediaLine } from "./media-content.js";

function content(line: object) {
  const read = parseReportLine(JSON.stringify({ name: "x", ...line }));
  if (!("line" in read)) throw new Error(JSON.stringify(read));
  const { bytes, ...rest } = contentOf(read.line as MediaLine);
  return { ...rest, ...(bytes ? { text: Buffer.from(bytes).toString() } : {}) };
}

test("plots are Vega-Lite or Plotly as they came, or made of x and y", () => {
  const vega = { mark: "bar", data: { values: [] }, encoding: {} };
  expect(content({ t: "plot", spec: vega })).toEqual({
    kind: "plot",
    mediaType: "application/vnd.vegalite.v5+json",
    text: JSON.stringify(vega),
  });
  const plotly = { data: [{ type: "scatter", x: [1], y: [2] }], layout: {} };
  expect(content({ t: "plot", spec: plotly }).mediaType).toBe("application/vnd.plotly.v1+json");
  const made = JSON.parse(content({ t: "plot", spec: { x: ["a", "b"], y: [1, 2], kind: "scatter" } }).text ?? "") as object;
  expect(made).toMatchObject({
    mark: "point",
    data: {
      values: [
        { x: "a", y: 1 },
        { x: "b", y: 2 },
      ],
    },
    encoding: { x: { type: "nominal" } },
  });
  expect(() => content({ t: "plot", spec: { x: [1], y: [] } })).toThrow(/neither Vega-Lite/);
});

test("tables are cut at 1,000 rows, and it is told", () => {
  expect(content({ t: "table", columns: ["a"], rows: [[1], [null]] })).toEqual({
    kind: "table",
    mediaType: "application/json",
    text: '{"columns":["a"],"rows":[[1],[null]]}',
  });
  const long = content({ t: "table", columns: ["a"], rows: Array.from({ length: 1_500 }, (_, i) => [i]) });
  expect(long.remark).toBe("500 of its 1500 rows were left out");
});

test("media are named by what they say or by their file's end, and hold one thing", () => {
  expect(content({ t: "media", text: "hello" })).toEqual({ kind: "text", mediaType: "text/plain", text: "hello" });
  expect(content({ t: "media", data: Buffer.from("ab").toString("base64"), mime: "audio/wav" })).toMatchObject({
    kind: "audio",
    text: "ab",
  });
  expect(content({ t: "media", path: "out/x.PNG" })).toEqual({ kind: "image", mediaType: "image/png", path: "out/x.PNG" });
  expect(content({ t: "media", path: "out/x" })).toMatchObject({ kind: "file" });
  expect(() => content({ t: "media" })).toThrow(/one of path, text and data/);
  expect(() => content({ t: "media", path: "a", text: "b" })).toThrow(/one of/);
});

test("histograms count every number once, whatever the numbers", () => {
  expect(JSON.parse(content({ t: "histogram", edges: [0, 1, 2], counts: [3, 4] }).text ?? "")).toEqual({
    edges: [0, 1, 2],
    counts: [3, 4],
  });
  expect(() => content({ t: "histogram", edges: [0, 1], counts: [3, 4] })).toThrow(/one more than counts/);
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }), (values) => {
      const { edges, counts } = JSON.parse(content({ t: "histogram", values: [...values, "nan"] }).text ?? "") as {
        edges: number[];
        counts: number[];
      };
      expect(counts.reduce((sum, each) => sum + each, 0)).toBe(values.length);
      expect(edges).toHaveLength(counts.length + 1);
    }),
  );
});

test("batches hold all points in order, and none is larger than a server takes", () => {
  const points = Array.from({ length: 6_000 }, (_, i) => ({ key: `${i % 3_000}${"x".repeat(250)}`, step: i, value: i, time: 0 }));
  const batches = batchesOf(points);
  expect(batches.flat()).toEqual(points);
  for (const batch of batches) expect(batch.length * 26 + new Set(batch.map((point) => point.key)).size * 254).toBeLessThan(140_000);
  expect(batchesOf(points.slice(0, 1))).toHaveLength(1);
  expect(batchesOf([])).toEqual([]);
});
