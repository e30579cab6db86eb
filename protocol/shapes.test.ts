import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseShape, shapeOf } from "./shapes.js";

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
  });
});
