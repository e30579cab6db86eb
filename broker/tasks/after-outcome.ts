import { type ArtifactRef, type Attempt, blame, isSuccess, type Outcome, type ParkWish, type TaskRecord } from "../../protocol/index.js";
import { latest, moved, now, requeued, withOutcome } from "./transition.js";

const BACKOFF_FACTOR = 2;
const MAX_BACKOFF_MS = 10 * 60_000;

/** What an attempt leaves with its outcome. */
export interface Left extends Pick<Attempt, "logBytes"> {
  /** It ended itself to be started again. */
  park?: ParkWish | undefined;
}

/**
 * Where an outcome takes a running record.
 *
 *   success → completed, or parked when it wished to be · aborted, or any end under an open abort wish → aborted
 *   failure of the program → queued again while the user's retries last, else failed
 *   failure of the machine → queued again in front while its cap lasts, else failed; never a user's retry
 *   a controller that was killed → as if its machine had failed: it has a journal, and goes on where it was
 */
export function afterOutcome(record: TaskRecord, outcome: Outcome, left: Left = {}): TaskRecord {
  const { logBytes, park } = left;
  // A wish to abort that it has not heard of yet wakes one that has more to do then.
  const isUnheard = park?.tidies === true && record.abort?.deliveredAt === undefined;
  if (isSuccess(outcome) && park && (!record.abort || isUnheard)) return parked(record, outcome, { ...left, park });
  const at = now();
  const by = record.owner?.agent ?? "navvy";
  const { owner: _owner, abort, ...rest } = record;
  const attempts = withOutcome(record, outcome, { endedAt: at, ...(logBytes ? { logBytes } : {}) });
  const closed = { ...attempts, outcome, endedAt: at };
  const end = (status: "completed" | "failed" | "aborted", reason: string) =>
    moved(rest, status, {
      reason,
      by,
      at,
      // An attempt that was lost with the wish still open, or that ended before it came, never heard of it.
      patch: {
        ...closed,
        ...(abort ? { abort: outcome.kind === "aborted" ? { ...abort, deliveredAt: abort.deliveredAt ?? at } : abort } : {}),
      },
    });
  const again = (patch: Partial<TaskRecord>, reason: string) => requeued(rest, { reason, by, patch: { ...attempts, outcome, ...patch } });

  if (isSuccess(outcome) && !park) return end("completed", "exited 0");
  if (outcome.kind === "aborted" || abort !== undefined) return end("aborted", abort?.reason ?? outcome.reason ?? "aborted");
  if (blame(outcome) === "machine" || isInterrupted(record, outcome)) {
    if (outcome.kind === "given_back") return again({ class: "front" }, outcome.reason ?? "given back");
    const losses = record.losses + 1;
    if (losses > record.spec.lostLimit || record.spec.command.length === 0) return { ...end("failed", `lost: ${lossOf(outcome)}`), losses };
    return again({ class: "front", losses }, `lost ${losses} of ${record.spec.lostLimit}: ${lossOf(outcome)}`);
  }
  const failures = record.failures + 1;
  const { limit, backoffMs } = record.spec.retries;
  if (failures > limit || outcome.kind === "setup_failed") return { ...end("failed", outcome.reason ?? describe(outcome)), failures };
  const delayMs = Math.min(backoffMs * BACKOFF_FACTOR ** (failures - 1), MAX_BACKOFF_MS);
  const patch = delayMs > 0 ? { failures, notBefore: new Date(Date.now() + delayMs).toISOString() } : { failures };
  return again(patch, `retry ${failures} of ${limit} after ${describe(outcome)}`);
}

/** SIGKILL comes from a person or from a machine in need, never from the program itself. */
function isInterrupted({ taskType }: TaskRecord, { kind, signal }: Outcome): boolean {
  return taskType === "controller" && kind === "signalled" && signal === "SIGKILL";
}

function lossOf({ kind, reason }: Outcome): string {
  return reason ?? (kind === "signalled" ? "its process was killed" : "its machine was lost");
}

/**
 * Back to its queue without a ticket there, until it is woken; no retry and no loss. One that was woken while it ran goes on at once:
 * what it is to see may have come after it looked.
 */
function parked(record: TaskRecord, outcome: Outcome, { logBytes, park }: Left & { park: ParkWish }): TaskRecord {
  const at = now();
  const { owner, ...rest } = record;
  const attempts = withOutcome(record, outcome, { endedAt: at, parked: true, ...(logBytes ? { logBytes } : {}) });
  const common = { ...attempts, firstAttempt: record.firstAttempt ?? record.attempt };
  const by = owner?.agent ?? "navvy";
  const { abort } = record;
  if (abort) return requeued(rest, { reason: `woken to end: ${abort.reason}`, by, patch: { ...common, class: "front", abort } });
  if (record.wokenAt !== undefined)
    return requeued(rest, { reason: "woken while it was about to park", by, patch: { ...common, class: "front" } });
  return requeued(rest, { reason: `parked: ${awaited(park)}`, by, patch: { ...common, parked: { ...park, at } } });
}

/** `waits for 3 tasks, until 2026-…` */
export function awaited({ on, all, until, keys }: ParkWish): string {
  const tasks = on.length === 1 ? "1 task" : `${all ? "all of " : "one of "}${on.length} tasks`;
  const parts = [on.length > 0 ? `waits for ${tasks}` : undefined, until && `until ${until}`, keys ? "waits to be woken" : undefined];
  return parts.filter(Boolean).join(", ");
}

function describe(outcome: Outcome): string {
  return outcome.kind === "exited" ? `exit code ${outcome.code}` : outcome.kind === "signalled" ? `signal ${outcome.signal}` : outcome.kind;
}

/** Bytes of references to artifacts, as JSON: what a record does not name any more is garbage, so of these as few as may be go. */
const KEPT_ARTIFACTS_BYTES = 32 * 1024;
const KEPT_METRICS = 40;
const KEPT_NOTES = 5;
const KEPT_ATTEMPTS = 5;

/** What of a record's history and reports must stay when all of it would pass the limit; its own note says what went. */
export function smaller(record: TaskRecord): TaskRecord {
  const { artifacts, metrics, notes, progress } = record.reported;
  const note = {
    at: now(),
    level: "error" as const,
    text: "the record passed its limit: outputs and the longer lists of what was reported were left out",
  };
  const clip = (text: string) => text.slice(0, 500);
  return {
    ...record,
    attempts: latest(record.attempts, KEPT_ATTEMPTS),
    reported: {
      outputs: {},
      metrics: Object.fromEntries(Object.entries(metrics).slice(0, KEPT_METRICS)),
      metricsOmitted: record.reported.metricsOmitted + Math.max(0, Object.keys(metrics).length - KEPT_METRICS),
      artifacts: artifactsWithin(artifacts, KEPT_ARTIFACTS_BYTES),
      ...(progress ? { progress } : {}),
      notes: [...notes.slice(-KEPT_NOTES).map((one) => ({ ...one, text: clip(one.text) })), note],
    },
  };
}

/** Without what is only for people, as many as there is room for. */
function artifactsWithin(artifacts: ArtifactRef[], bytes: number): ArtifactRef[] {
  let left = bytes;
  return artifacts
    .map(({ preview: _preview, mediaType: _mediaType, ...ref }) => ref)
    .filter((ref) => {
      left -= Buffer.byteLength(JSON.stringify(ref));
      return left >= 0;
    });
}
