import { expect, test } from "vitest";
import { ERRORS, type ErrorCode, OUTCOME_KINDS } from "../protocol/index.js";
import { exitCodeOf, exitCodeOfOutcome } from "./exit-codes.js";

test("a task's own exit code is passed on, and what navvy did to it has a code of its own", () => {
  expect(exitCodeOfOutcome({ kind: "exited", code: 0 })).toBe(0);
  expect(exitCodeOfOutcome({ kind: "exited", code: 42 })).toBe(42);
  expect(exitCodeOfOutcome({ kind: "signalled", signal: "SIGSEGV" })).toBe(139);
  expect(exitCodeOfOutcome({ kind: "out_of_memory" })).toBe(137);
  expect((["aborted", "lost", "timed_out", "setup_failed"] as const).map((kind) => exitCodeOfOutcome({ kind }))).toEqual([
    122, 123, 124, 125,
  ]);
});

test("no outcome but a good exit gives 0", () => {
  for (const kind of OUTCOME_KINDS) expect(exitCodeOfOutcome({ kind })).toBeGreaterThan(0);
  expect(exitCodeOfOutcome(undefined)).toBe(1);
});

test("every error of ours has an exit code outside the band of tasks", () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) expect(exitCodeOf(code), code).toSatisfy((exit: number) => exit >= 1 && exit <= 8);
  expect([
    exitCodeOf("invalid_argument"),
    exitCodeOf("not_found"),
    exitCodeOf("permission_denied"),
    exitCodeOf("nats_unreachable"),
    exitCodeOf("conflict"),
    exitCodeOf("nobody_serves"),
  ]).toEqual([2, 3, 4, 5, 7, 8]);
});
