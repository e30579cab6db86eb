import { describe, expect, test } from "vitest";
import { isNavvyError } from "./errors.js";
import { assertMove, canMove, isEnded, MOVES, STATUSES, type TaskStatus } from "./states.js";

const ID = "01KAQD4XW7J9M2ZC5T8RB3FVNH";

/** As the drawing above MOVES says it. */
const LEGAL: [TaskStatus, TaskStatus][] = [
  ["draft", "queued"],
  ["queued", "draft"],
  ["queued", "running"],
  ["queued", "aborted"],
  ["queued", "failed"],
  ["running", "queued"],
  ["running", "completed"],
  ["running", "failed"],
  ["running", "aborted"],
  ["completed", "draft"],
  ["completed", "published"],
  ["failed", "draft"],
  ["aborted", "draft"],
];
const illegal = STATUSES.flatMap((from) => STATUSES.map((to) => [from, to] as const)).filter(
  ([from, to]) => !LEGAL.some(([a, b]) => a === from && b === to),
);

describe("a task's states", () => {
  test.each(LEGAL)("%s may become %s", (from, to) => {
    expect(canMove(from, to)).toBe(true);
    expect(() => assertMove(ID, from, to)).not.toThrow();
  });

  test.each(illegal)("%s may not become %s, and the error names both and what to do", (from, to) => {
    const error = caught(() => assertMove(ID, from, to));
    expect(isNavvyError(error, "illegal_move")).toBe(true);
    expect(error).toMatchObject({
      message: `task ${ID} is ${from}, so it can not become ${to}`,
      detail: { id: ID, from, to },
      fix: [expect.stringContaining("navvy ")],
    });
  });

  test("what to do about it names the task by the end of its id", () => {
    expect(caught(() => assertMove(ID, "draft", "running"))).toMatchObject({ fix: ["enqueue it first: navvy task enqueue 8RB3FVNH"] });
  });

  test("the states that have an outcome are the ended ones", () => {
    expect(STATUSES.filter(isEnded)).toEqual(["completed", "failed", "aborted", "published"]);
  });

  test("nothing leaves published", () => {
    expect(MOVES.published).toEqual([]);
  });
});

function caught(act: () => void): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
