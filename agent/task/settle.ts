import type { Logger } from "pino";
import type { Claim, Claims } from "../../broker/index.js";
import { isNavvyError, type Outcome, type Reported } from "../../protocol/index.js";

export interface Settling {
  claims: Claims;
  claim: Claim;
  outcome: Outcome;
  /** Flushes logs, metrics and artifacts. */
  collect: () => Promise<{ reported: Reported; logBytes?: Record<string, number> }>;
  isRevoked: () => boolean;
  log: Logger;
}

const RETRY_MS = 250;

/**
 * Settles one finished attempt; the slot is free when it returns.
 *
 * Order matters. Everything the task reported is flushed before the outcome is recorded, so whoever sees the outcome
 * sees all of it. The outcome goes in by compare-and-set on the attempt: a holder whose attempt was superseded loses it,
 * and its result is dropped. While NATS is away both are tried again, until they are in or the lease is revoked.
 */
export async function settle({ claims, claim, outcome, collect, isRevoked, log }: Settling): Promise<void> {
  const attempt = { task: claim.id, attempt: claim.attempt };
  const end = await patiently(collect, isRevoked);
  if (end === undefined) return log.warn(attempt, "lease revoked: outcome dropped");
  const settled = await patiently(() => claims.finish(claim, outcome, end), isRevoked);
  if (settled === undefined || settled === "superseded") return log.warn(attempt, "attempt superseded: outcome dropped");
  log.info({ ...attempt, name: claim.record.name, outcome: outcome.kind, code: outcome.code, status: claim.record.status }, "task settled");
}

async function patiently<T>(act: () => Promise<T>, isRevoked: () => boolean): Promise<T | undefined> {
  while (!isRevoked()) {
    try {
      return await act();
    } catch (error) {
      if (isRevoked()) return undefined;
      if (!isNavvyError(error) || !error.retryable) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
  return undefined;
}
