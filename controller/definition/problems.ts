import type { z } from "zod";
import { closest, NavvyError } from "../../protocol/index.js";

/** Something wrong at a place of a definition. */
export interface Problem {
  path: (string | number)[];
  message: string;
}

/** Keys that may stand at a place, for "did you mean"; a name of the user's own is written `*`. */
export type KnownKeys = Record<string, readonly string[]>;

/** zod's findings in our words, each with the name that was probably meant. */
export function problemsOf(error: z.ZodError, known: KnownKeys): Problem[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
    if (issue.code !== "unrecognized_keys") {
      const isMissing = issue.code === "invalid_type" && issue.message.endsWith("received undefined");
      return [{ path, message: isMissing ? "it is missing" : issue.message }];
    }
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(key, keysAt(path, known)) }));
  });
}

/** `there is no "trails"; did you mean trials?`, or what there is. */
export function unknownKey(key: string, known: readonly string[]): string {
  const meant = closest(key, known);
  return `there is no ${JSON.stringify(key)} here${meant ? `; did you mean ${meant}?` : `: known are ${known.join(", ")}`}`;
}

function keysAt(path: (string | number)[], known: KnownKeys): readonly string[] {
  const exact = known[path.join(".")];
  const starred = known[path.map((part, index) => (index === path.length - 1 ? "*" : part)).join(".")];
  return exact ?? starred ?? [];
}

/** All problems in one error. `placeOf` says where each is: `sweep.yaml:6:5 budget.trails`. */
export function invalid(what: string, problems: Problem[], placeOf: (path: (string | number)[]) => string = dotted): NavvyError {
  const lines = problems.map(({ path, message }) => `${placeOf(path)}: ${message}`);
  return new NavvyError("invalid_argument", lines.length === 1 ? `${what}: ${lines[0]}` : `${what}: ${lines.length} problems`, {
    ...(lines.length === 1 ? {} : { why: lines.join("; ") }),
  });
}

export const dotted = (path: (string | number)[]) => (path.length === 0 ? "all of it" : path.join("."));
