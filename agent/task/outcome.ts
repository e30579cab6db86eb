import { isNavvyError, type Outcome } from "../../protocol/index.js";
import type { ProcessEnd } from "../runners/runner.js";

/** Why navvy itself ends an attempt. The first cause wins. */
export type Cause =
  | { kind: "aborted"; reason: string; graceMs: number }
  | { kind: "timed_out"; reason: string; graceMs: number }
  | { kind: "given_back"; reason: string }
  | { kind: "revoked"; reason: string };

/** The outcome of a process that ended: our own cause if there was one, else how it ended by itself. */
export function outcomeOf(end: ProcessEnd, cause: Cause | undefined, tail: string): Outcome {
  if (cause && cause.kind !== "revoked")
    return { kind: cause.kind, reason: cause.reason, ...(end.code === null ? {} : { code: end.code }), ...(tail ? { tail } : {}) };
  if (end.lost) return { kind: "lost", reason: "what watched the process on its machine died" };
  if (end.signal !== null) return { kind: "signalled", signal: end.signal, ...(tail ? { tail } : {}) };
  const code = end.code ?? 1;
  return { kind: "exited", code, ...(code !== 0 && tail ? { tail } : {}) };
}

/** The outcome of a start that failed: the task's own set-up, or this machine (then it goes back to its queue). */
export function setupOutcome(error: unknown): Outcome {
  if (isNavvyError(error, "disk_full") || isNavvyError(error, "internal")) return { kind: "given_back", reason: error.message };
  const lines = isNavvyError(error)
    ? [error.message, ...(error.why ? [`why: ${error.why}`] : []), ...error.fix.map((fix) => `fix: ${fix}`)]
    : [String(error)];
  return { kind: "setup_failed", reason: lines[0] ?? "set-up failed", tail: lines.join("\n") };
}
