import { expect, test } from "vitest";
import { type FillScope, fill } from "./fill.js";

const values: Record<string, string | number> = { "task.id": "01KA", "metric.val/acc.max": 0.95, run: 7 };
const scope: FillScope = { root: "trigger", names: ["task.id", "metric.", "run"], lookUp: (name) => values[name] };

test("a text that is one reference keeps the type, also deep inside", () => {
  expect(fill({ a: ["${trigger.metric.val/acc.max}", 1, null], b: { c: "${trigger.run}" } }, scope)).toEqual({
    a: [0.95, 1, null],
    b: { c: 7 },
  });
});

test("inside a text it becomes text", () => {
  expect(fill("run ${trigger.run} of ${trigger.task.id}", scope)).toBe("run 7 of 01KA");
  expect(fill("${trigger.run}${trigger.run}", scope)).toBe("77");
});

test("what is not ours is left as it is, and $$ is for the characters themselves", () => {
  expect(fill("${params.lr} $HOME ${schedule.run}", scope)).toBe("${params.lr} $HOME ${schedule.run}");
  expect(fill("$${trigger.run}", scope)).toBe("${trigger.run}");
});

test("a name that there is not is refused with the one that was probably meant", () => {
  expect(() => fill("for ${trigger.task.ic}", scope)).toThrow("did you mean task.id?");
  expect(() => fill("${trigger.nothing}", scope)).toThrow(/stands for nothing here$/);
});
