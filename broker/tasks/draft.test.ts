import { expect, test } from "vitest";
import { isNavvyError } from "../../protocol/index.js";
import { cloneOf, type NewTask, newDraft } from "./draft.js";

const draft = (spec: NewTask["spec"]) => newDraft({ name: "t", spec: { command: ["true"], ...spec } }, "me");

function refusal(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

test("a grace that is asked for and is longer than the time limit is refused with both times, the reason and what to do", () => {
  const error = refusal(() => draft({ timeLimitMs: 10_000, graceMs: 10_001 }));
  if (!isNavvyError(error, "invalid_argument")) throw error;
  expect(error.message).toMatch(/10001 ms.*10000 ms/);
  expect(error.why).toContain("slip");
  expect(error.fix.join()).toMatch(/--grace.*--timeout/);
});

test("a grace that nobody asked for ends with the time limit", () => {
  expect(draft({}).spec.graceMs).toBe(30_000);
  expect(draft({ timeLimitMs: 60_000 }).spec.graceMs).toBe(30_000);
  expect(draft({ timeLimitMs: 10_000 }).spec.graceMs).toBe(10_000);
  expect(draft({ timeLimitMs: 10_000, graceMs: 10_000 }).spec.graceMs).toBe(10_000);
});

test("a clone's shorter time limit shortens its template's grace; a longer grace in the same call is refused", () => {
  const template = draft({ graceMs: 20_000 });
  expect(cloneOf(template, { spec: { timeLimitMs: 5_000 } }, "me").spec).toMatchObject({ timeLimitMs: 5_000, graceMs: 5_000 });
  expect(cloneOf(template, {}, "me").spec.graceMs).toBe(20_000);
  expect(isNavvyError(refusal(() => cloneOf(template, { spec: { timeLimitMs: 5_000, graceMs: 6_000 } }, "me")))).toBe(true);
  expect(isNavvyError(refusal(() => cloneOf(draft({ timeLimitMs: 5_000 }), { spec: { graceMs: 6_000 } }, "me")))).toBe(true);
});
