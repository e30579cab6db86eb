/**
 * The one error class of navvy and its closed set of codes.
 *
 * Told apart by `code`, never by message text. A message says what failed, on which id, what was expected; `fix` is a
 * line that can be pasted. `detail` holds ids and sizes, never payloads or secrets.
 */
export const ERRORS = {
  invalid_argument: { retryable: false, about: "an argument, name or value is not acceptable" },
  not_found: { retryable: false, about: "the task, queue, agent, artifact or context does not exist" },
  ambiguous: { retryable: false, about: "a suffix or name matches more than one thing" },
  conflict: { retryable: true, about: "someone else changed the same thing first" },
  illegal_move: { retryable: false, about: "the task's state does not allow this" },
  not_draft: { retryable: false, about: "only a draft's specification can be edited" },
  not_empty: { retryable: false, about: "a queue still holds tasks" },
  too_large: { retryable: false, about: "a record, bundle or value is over its limit" },
  newer_version: { retryable: false, about: "a message or record was written by a newer navvy" },
  unreadable: { retryable: false, about: "bytes that are not one of our messages" },
  corrupt: { retryable: false, about: "content does not match its checksum" },
  nats_unreachable: { retryable: true, about: "no NATS server answers at the address" },
  jetstream_unavailable: { retryable: false, about: "JetStream is off, or the account may not use it" },
  permission_denied: { retryable: false, about: "the credentials do not allow this" },
  unsupported_server: { retryable: false, about: "this NATS server can not be used safely" },
  timeout: { retryable: true, about: "no answer within the time given" },
  setup_failed: { retryable: false, about: "a program or environment could not be started" },
  engine_unreachable: { retryable: true, about: "the container engine of a machine does not answer" },
  nobody_serves: { retryable: false, about: "no agent that is up serves the queue" },
  disk_full: { retryable: true, about: "no room left on the disk" },
  revoked: { retryable: false, about: "the session's lease was taken away" },
  superseded: { retryable: false, about: "a newer attempt of the task took over" },
  aborted: { retryable: false, about: "ended at someone's wish" },
  internal: { retryable: false, about: "a fault of navvy itself" },
} as const satisfies Record<string, { retryable: boolean; about: string }>;

export type ErrorCode = keyof typeof ERRORS;

export interface NavvyErrorOptions {
  cause?: unknown;
  /** Ids, sizes, limits. Never payloads or secrets. */
  detail?: Record<string, unknown>;
  /** Why it happened, one line. */
  why?: string;
  /** What to do about it: lines that can be pasted. */
  fix?: string | string[];
}

/** Our own failures. A task's failure is an `Outcome`, never an error. */
export class NavvyError extends Error {
  override readonly name = "NavvyError";
  readonly code: ErrorCode;
  readonly detail: Record<string, unknown>;
  readonly why: string | undefined;
  readonly fix: string[];

  constructor(code: ErrorCode, message: string, options: NavvyErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.detail = options.detail ?? {};
    this.why = options.why;
    this.fix = options.fix === undefined ? [] : [options.fix].flat();
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}

/** True for an error of ours, also one that crossed a copy of this module. */
export function isNavvyError(error: unknown, code?: ErrorCode): error is NavvyError {
  if (!(error instanceof Error) || error.name !== "NavvyError") return false;
  return code === undefined || (error as NavvyError).code === code;
}
