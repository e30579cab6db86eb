import { type ErrorCode, isNavvyError, NavvyError } from "../../protocol/index.js";
import { isFull } from "./appender.js";

/** The others are our own faults: 500. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  invalid_argument: 400,
  ambiguous: 400,
  permission_denied: 403,
  not_found: 404,
  conflict: 409,
  not_draft: 409,
  illegal_move: 409,
  aborted: 409,
  too_large: 413,
  nats_unreachable: 503,
  jetstream_unavailable: 503,
  timeout: 503,
  disk_full: 507,
};

/** Any failure as one of ours. */
export function failureOf(error: unknown): NavvyError {
  if (isNavvyError(error)) return error;
  if (isFull(error)) return new NavvyError("disk_full", "the disk of the agent is full", { cause: error, fix: "df -h" });
  return new NavvyError("internal", "the agent could not answer the request", { cause: error, fix: "see the agent's log" });
}

export function statusOf(error: NavvyError): number {
  return STATUS[error.code] ?? 500;
}

/** As clients get it. */
export function failureBody(error: NavvyError): { error: { code: string; message: string; why?: string; fix?: string } } {
  const { code, message, why, fix } = error;
  return { error: { code, message, ...(why ? { why } : {}), ...(fix.length > 0 ? { fix: fix.join("\n") } : {}) } };
}
