import { expect, test } from "vitest";
import { Setup, type TaskSpec } from "../../../protocol/index.js";
import { setupSpecOf } from "./setup-spec.js";

test("flags say what a set-up is; without any there is none", () => {
  expect(setupSpecOf({})).toBeUndefined();
  expect(setupSpecOf({ setup: ["make"], setupFile: ["Makefile"], setupTimeout: 1_000 })).toEqual({
    setup: { kind: "commands", commands: ["make"], files: ["Makefile"], timeLimitMs: 1_000 },
  });
  expect(setupSpecOf({ python: true })?.setup).toMatchObject({ kind: "python", files: [] });
  expect(setupSpecOf({ requirements: ["dev.txt"], interpreter: "python3.12" })?.setup).toMatchObject({
    kind: "python",
    files: ["dev.txt"],
    interpreter: "python3.12",
  });
  expect(setupSpecOf({ node: true })?.setup).toMatchObject({ kind: "node" });
});

test("what a draft's set-up says stays where no flag says otherwise", () => {
  const before = { setup: Setup.parse({ kind: "python", files: ["a.txt"] }) } as TaskSpec;
  expect(setupSpecOf({ setupTimeout: 5_000 }, before)?.setup).toMatchObject({ kind: "python", files: ["a.txt"], timeLimitMs: 5_000 });
});

test("flags that make no sense together are refused with what to do", () => {
  expect(() => setupSpecOf({ python: true, node: true })).toThrow(/either a Python environment or node_modules/);
  expect(() => setupSpecOf({ setupFile: ["x"] })).toThrow(/--setup-file is about a set-up, and there is none/);
  expect(() => setupSpecOf({ setupTimeout: 1 })).toThrow(/--setup-timeout is about/);
});
