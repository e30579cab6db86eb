import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkName, closest, editDistance } from "./names.js";

describe("closest", () => {
  test.each([
    ["defualt", "default"],
    ["servces", "services"],
    ["Default", "default"],
    ["gpu", "gpus"],
  ])("takes %s for a slip of %s", (wanted, meant) => {
    expect(closest(wanted, ["default", "services", "gpus"])).toBe(meant);
  });

  test.each(["nightly", "a", "defa", "dexxxlt"])("leaves %s alone: too far from every name", (wanted) => {
    expect(closest(wanted, ["default", "services", "gpus"])).toBeUndefined();
  });

  test.each([
    ["gpu1", "gpu2"],
    ["team-1", "team-12"],
    ["a", "b"],
    ["ab", "abc"],
  ])("takes %s and %s for two names: they differ in numbers alone, or are too short to tell", (wanted, known) => {
    expect(closest(wanted, [known])).toBeUndefined();
  });

  test("takes the nearest of several, and the first of equals", () => {
    expect(closest("trains", ["trail", "train", "brains"])).toBe("train");
    expect(closest("trainx", ["trainy", "trainz"])).toBe("trainy");
  });

  test("finds nothing among no names", () => {
    expect(closest("default", [])).toBeUndefined();
  });
});

describe("editDistance", () => {
  test("counts insertions, deletions and substitutions", () => {
    expect([editDistance("", "abc"), editDistance("abc", "abc"), editDistance("kitten", "sitting")]).toEqual([3, 0, 3]);
  });

  test("is a distance: zero only to itself, the same both ways, never longer over a third", () => {
    const word = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(word, word, word, (a, b, c) => {
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c));
      }),
    );
  });
});

describe("checkName", () => {
  test.each(["default", "gpu-7", "A_b-9", "x".repeat(64)])("takes %s", (name) => {
    expect(checkName("queue", name)).toBe(name);
  });

  test.each([
    ["", "default"],
    ["my queue", "my-queue"],
    ["a.b", "a-b"],
    ["a>", "a-"],
    ["x".repeat(65), "x".repeat(64)],
  ])("refuses %j and offers one that it takes", (name, offered) => {
    expect(() => checkName("queue", name)).toThrow(
      expect.objectContaining({
        code: "invalid_argument",
        message: `queue name ${JSON.stringify(name)} is not acceptable`,
        fix: [`use for example "${offered}"`],
      }),
    );
    expect(checkName("queue", offered)).toBe(offered);
  });
});
