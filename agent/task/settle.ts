import type { Logger } from "pino";
import type { Claim, Claims } from "../../broker/index.js";
import type { Outcome } from "../../protocol/index.js";
import { patiently } from "../patiently.js";
import type { Collected } from "./collect.js";

export interface Settling {
  claims: Claims;
  claim: Claim;
  /** Flushes logs, metrics and artifacts, and says how it ended. */
  collect: () => Promise<{ outcome: Outcome } & Collected>;
  isRevoked: () => boolean;
  log: Logger;
}

/**
 * Settles one finished attempt; the slot is free when it returns.
 *
 * Order matters. Everything the task reported is flushed before the outcome is recorded, so whoever sees the outcome
 * sees all of it. The outcome goes in by compare-and-set on the attempt: a holder whose attempt was superseded loses it,
 * and its result is dropped. While NATS is away both are tried again, until they are in or the lease is revoked.
 */
export async function settle({ claims, claim, collect, isRevoked, log }: Settling): Promise<void> {
  const attempt = { task: claim.id, attempt: claim.attempt };
  const collected = await patiently(collect, isRevoked);
  if (collected === undefined) return log.warn(attempt, "lease revoked: outcome dropped");
  const { outcome, ...end } = collected;
  const settled = await patiently(() => claims.finish(claim, outcome, end), isRevoked);
  if (settled === undefined || settled === "superseded") return log.warn(attempt, "attempt superseded: outcome dropped");
  log.info({ ...attempt, name: claim.record.name, outcome: outcome.kind, code: outcome.code, status: claim.record.status }, "task settled");
}
