import { constants } from "node:os";
import type { ErrorCode, Outcome } from "../protocol/index.js";

/** Every exit code of `navvy`, in one place; `navvy help exit-codes` prints this. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  notAllowed: 4,
  unreachable: 5,
  timeout: 6,
  conflict: 7,
  nobodyServes: 8,
  aborted: 122,
  lost: 123,
  timedOut: 124,
  setupFailed: 125,
  interrupted: 130,
  terminated: 143,
} as const;

/** What each code says, for people. */
export const EXIT_MEANINGS: Record<keyof typeof EXIT, string> = {
  ok: "done as asked",
  failed: "the thing asked failed",
  usage: "wrong usage or invalid file",
  notFound: "not found",
  notAllowed: "not allowed (credentials, permission)",
  unreachable: "NATS or JetStream out of reach",
  timeout: "--timeout ran out; the remote work goes on",
  conflict: "conflict (changed meanwhile, name taken)",
  nobodyServes: "nobody can run it (--require-agent)",
  aborted: "task aborted by a person",
  lost: "task lost with its machine, retries used up",
  timedOut: "task hit its own time limit, as timeout(1) says it",
  setupFailed: "task could not be started: code, command, environment",
  interrupted: "interrupted here; the task goes on",
  terminated: "a controller was asked to end, by SIGTERM",
};

const BY_ERROR: Partial<Record<ErrorCode, number>> = {
  invalid_argument: EXIT.usage,
  ambiguous: EXIT.usage,
  not_found: EXIT.notFound,
  permission_denied: EXIT.notAllowed,
  nats_unreachable: EXIT.unreachable,
  jetstream_unavailable: EXIT.unreachable,
  unsupported_server: EXIT.unreachable,
  // No answer from NATS; a `--timeout` that ran out is told by the command that has it.
  timeout: EXIT.unreachable,
  conflict: EXIT.conflict,
  nobody_serves: EXIT.nobodyServes,
};

/** The exit code of one of our own failures. */
export function exitCodeOf(code: ErrorCode): number {
  return BY_ERROR[code] ?? EXIT.failed;
}

/** The exit code that stands for how a task ended: its own where it ran to its end. */
export function exitCodeOfOutcome(outcome: Outcome | undefined): number {
  switch (outcome?.kind) {
    case undefined:
      return EXIT.failed;
    case "exited":
      return outcome.code ?? EXIT.failed;
    case "signalled":
      return 128 + (constants.signals[outcome.signal as NodeJS.Signals] ?? 0);
    case "out_of_memory":
      return 128 + constants.signals.SIGKILL;
    case "timed_out":
      return EXIT.timedOut;
    case "aborted":
      return EXIT.aborted;
    case "setup_failed":
      return EXIT.setupFailed;
    case "lost":
    case "given_back":
      return EXIT.lost;
  }
}
