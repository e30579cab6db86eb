import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode } from "./codec.js";
import { fromColumns, type Point, toColumns } from "./columns.js";
import { MetricBatch } from "./messages.js";

const point = fc.record<Point>({
  key: fc.string({ minLength: 1, maxLength: 256 }),
  step: fc.double(),
  value: fc.double(),
  time: fc.double({ noNaN: true }),
});

describe("a batch of points", () => {
  test("comes back as it went in, over the wire too, whatever the numbers", () => {
    fc.assert(
      fc.property(fc.array(point), fc.nat(), (points, sequence) => {
        const batch = decode(MetricBatch, encode(toColumns(points, sequence)), "a batch");
        expect(batch.sequence).toBe(sequence);
        expect(fromColumns(batch)).toEqual(points);
      }),
    );
  });

  test("names each key once", () => {
    const points = ["b", "a", "b", "b"].map((key, step) => ({ key, step, value: step, time: 0 }));
    const batch = toColumns(points, 0);
    expect(batch.keys).toEqual(["b", "a"]);
    expect(fromColumns(batch)).toEqual(points);
  });

  test("is little-endian: two bytes a key, eight a number", () => {
    const batch = toColumns([{ key: "a", step: 1, value: -2, time: 0.5 }], 0);
    expect([...batch.key]).toEqual([0, 0]);
    expect([...batch.step]).toEqual([0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    expect([...batch.value]).toEqual([0, 0, 0, 0, 0, 0, 0, 0xc0]);
    expect([...batch.time]).toEqual([0, 0, 0, 0, 0, 0, 0xe0, 0x3f]);
  });

  test("that names a key it does not have shows it as unknown, never as another", () => {
    const batch = toColumns([{ key: "a", step: 0, value: 1, time: 0 }], 0);
    expect(fromColumns({ ...batch, keys: [] })).toEqual([{ key: "?", step: 0, value: 1, time: 0 }]);
  });
});
