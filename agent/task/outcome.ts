import { isNavvyError, type Outcome, type TaskRecord } from "../../protocol/index.js";
import type { ProcessEnd, StartFailure } from "../runners/runner.js";

/** Why navvy itself ends an attempt. The first cause wins. */
export type Cause =
  | { kind: "aborted"; reason: string; graceMs: number }
  | { kind: "timed_out"; reason: string; graceMs: number }
  | { kind: "given_back"; reason: string }
  | { kind: "lost"; reason: string }
  | { kind: "revoked"; reason: string };

/** The cause of an end that the spawner brought about, or that an earlier run of the agent asked it for. */
export function causeOf(endedBy: string, { spec, abort }: Pick<TaskRecord, "spec" | "abort">): Cause {
  const { graceMs } = spec;
  switch (endedBy) {
    case "time_limit":
      return { kind: "timed_out", reason: `hit its time limit of ${spec.timeLimitMs ?? "?"} ms`, graceMs };
    case "aborted":
      return { kind: "aborted", reason: abort?.reason ?? "aborted", graceMs };
    case "kill":
      return { kind: "given_back", reason: "its agent gave it back and ended before it could say so" };
    case "lease":
      return { kind: "lost", reason: "its agent was cut off from NATS, and it is not to outlive that (onDisconnect: kill)" };
    default:
      return { kind: "lost", reason: "its agent was gone for longer than what it left running is kept" };
  }
}

/** The outcome of a process that ended: our own cause if there was one, else how it ended by itself. */
export function outcomeOf(end: ProcessEnd, cause: Cause | undefined, tail: string): Outcome {
  if (cause && cause.kind !== "revoked")
    return { kind: cause.kind, reason: cause.reason, ...(end.code === null ? {} : { code: end.code }), ...(tail ? { tail } : {}) };
  if (end.lost) return { kind: "lost", reason: end.reason ?? "what watched the process on its machine died" };
  if (end.failure) return failedStart(end.failure);
  if (end.isOutOfMemory)
    return { kind: "out_of_memory", reason: end.reason ?? "ended by the kernel for want of memory", ...(tail ? { tail } : {}) };
  if (end.signal !== null) return { kind: "signalled", signal: end.signal, ...(tail ? { tail } : {}) };
  const code = end.code ?? 1;
  return { kind: "exited", code, ...(code !== 0 && tail ? { tail } : {}) };
}

function failedStart({ message, fix }: StartFailure): Outcome {
  return { kind: "setup_failed", reason: message, tail: [message, ...(fix ? [`fix: ${fix}`] : [])].join("\n") };
}

/** What the operating system says when the machine and not the task is short of something. */
const MACHINE_ERRNOS = new Set<unknown>(["EAGAIN", "ENOMEM", "EMFILE", "ENFILE", "EIO", "ENOSPC", "EDQUOT", "EROFS"]);

function isMachines(error: unknown): boolean {
  if (!isNavvyError(error)) return true;
  return error.retryable || error.code === "internal" || MACHINE_ERRNOS.has(error.detail.errno);
}

/**
 * The outcome of a start that failed: the task's own set-up, or this machine (it is tried elsewhere, up to its cap).
 *
 * @param printed the last lines that the set-up printed
 */
export function setupOutcome(error: unknown, printed = ""): Outcome {
  if (isMachines(error)) return { kind: "lost", reason: `could not be started there: ${(error as Error).message}` };
  const lines = isNavvyError(error)
    ? [error.message, ...(error.why ? [`why: ${error.why}`] : []), ...error.fix.map((fix) => `fix: ${fix}`)]
    : [String(error)];
  return { kind: "setup_failed", reason: lines[0] ?? "set-up failed", tail: [...lines, ...(printed ? [printed] : [])].join("\n") };
}
