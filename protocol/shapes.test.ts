import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newTaskRecord } from "../test/support/records.js";
import { type Needs, needsOf } from "./needs.js";
import { laneOf, needsOfLane, parseShape, shapeOf } from "./shapes.js";

const needs = (resources: object, container?: object): Needs =>
  needsOf(newTaskRecord({ spec: { resources: { gpus: 0, ...resources }, ...(container ? { container } : {}) } as never }).spec);

describe("shapes", () => {
  test("name what a task asks for", () => {
    expect([0, 1, 16].map((gpus) => shapeOf({ gpus }))).toEqual(["cpu", "g1", "g16"]);
  });

  test("come back as what was asked for", () => {
    fc.assert(
      fc.property(fc.nat({ max: 1_000 }), (gpus) => {
        expect(parseShape(shapeOf({ gpus }))).toEqual({ gpus });
      }),
    );
  });

  test.each(["", "g0", "g01", "g-1", "g1m40", "cpu2", "G1"])("of a newer navvy are left alone: %j", (shape) => {
    expect(parseShape(shape)).toBeUndefined();
    expect(needsOfLane({ shape })).toBeUndefined();
  });

  test("of anything more than GPUs carry a hash behind what can be read, one token of a subject", () => {
    expect(shapeOf(needs({ gpus: 2, gpuMemoryBytes: 40 * 2 ** 30 }))).toMatch(/^g2-x[0-9a-z]{13}$/);
    expect(shapeOf(needs({ cpus: 6 }))).toMatch(/^cpu-x[0-9a-z]{13}$/);
    expect(parseShape(shapeOf(needs({ cpus: 6 })))).toBeUndefined();
  });

  test("are the same for the same needs however they are written, and differ for different ones", () => {
    const one = needs({ gpus: 1, gpuModel: " H100 ", labels: { a: "1", b: "2" } });
    const same = needs({ labels: { b: "2", a: "1" }, gpuModel: "h100", gpus: 1 });
    expect(shapeOf(same)).toBe(shapeOf(one));
    const others = [{ cpus: 1 }, { cpus: 2 }, { memoryBytes: 1 }, { diskBytes: 1 }, { labels: { a: "b" } }, { labels: { ab: "" } }];
    expect(new Set(others.map((each) => shapeOf(needs(each)))).size).toBe(others.length);
  });

  test("leave out what means nothing: a GPU's memory and model without a GPU, empty labels", () => {
    expect(shapeOf(needs({ gpuMemoryBytes: 1, gpuModel: "x", labels: {} }))).toBe("cpu");
  });

  test("tell a task that runs in a container from one that does not", () => {
    expect(shapeOf(needs({}, { image: "a" }))).not.toBe("cpu");
    expect(shapeOf(needs({}, { image: "a" }))).toBe(shapeOf(needs({}, { image: "b" })));
  });

  test("that are hashed go with their needs to the lane, plain ones say them alone", () => {
    const record = (resources: object, queue = "q") => {
      const { spec } = newTaskRecord({ spec: { resources: { gpus: 0, ...resources } } });
      return { queue, class: "normal" as const, shape: shapeOf(needsOf(spec)), spec };
    };
    expect(laneOf(record({ gpus: 2 }))).toEqual({ queue: "q", class: "normal", shape: "g2" });
    expect(laneOf(record({ cpus: 6 }))).toMatchObject({ needs: { gpus: 0, cpus: 6 } });
    expect(needsOfLane(laneOf(record({ cpus: 6 }))!)).toEqual({ gpus: 0, cpus: 6 });
    expect(laneOf(newTaskRecord())).toBeUndefined();
  });
});
