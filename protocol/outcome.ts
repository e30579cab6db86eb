import { z } from "zod";

/**
 * How an attempt ended, as data. A failure of the user's program and a failure of a machine are different kinds and
 * have different retry counters.
 */
export const OUTCOME_KINDS = [
  "exited", // the process ended by itself; `code` 0 is success
  "signalled", // ended by a signal that was not ours
  "timed_out", // hit its own time limit
  "aborted", // ended at someone's wish
  "setup_failed", // never started: code, command or environment
  "out_of_memory", // ended by the kernel for memory
  "lost", // its machine or agent was lost
  "given_back", // its agent was told to leave at once
] as const;
export type OutcomeKind = (typeof OUTCOME_KINDS)[number];

export const Outcome = z.object({
  kind: z.enum(OUTCOME_KINDS),
  /** Exit code, for `exited`. */
  code: z.number().int().optional(),
  signal: z.string().optional(),
  /** One sentence for people. */
  reason: z.string().optional(),
  /** The last lines of what the task printed, at most 4 KB. */
  tail: z.string().optional(),
});
export type Outcome = z.infer<typeof Outcome>;

export function isSuccess(outcome: Outcome): boolean {
  return outcome.kind === "exited" && outcome.code === 0;
}

/** Whose fault an outcome is: decides which retry counter it uses. */
export function blame(outcome: Outcome): "nobody" | "task" | "machine" | "person" {
  if (isSuccess(outcome)) return "nobody";
  if (outcome.kind === "lost" || outcome.kind === "given_back") return "machine";
  return outcome.kind === "aborted" ? "person" : "task";
}

/** One line: `exited 3`, `signalled SIGSEGV`, `lost: …`. */
export function describeOutcome(outcome: Outcome): string {
  const detail = outcome.kind === "exited" ? ` ${outcome.code ?? "?"}` : outcome.signal ? ` ${outcome.signal}` : "";
  return `${outcome.kind}${detail}${outcome.reason ? `: ${outcome.reason}` : ""}`;
}
