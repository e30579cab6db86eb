import {
  blame,
  isNavvyError,
  isSuccess,
  type Outcome,
  type Owner,
  type Reported,
  type TaskRecord,
  type Ticket,
} from "../../protocol/index.js";
import type { Bucket } from "../bucket.js";
import type { Events } from "../events.js";
import type { Queues } from "../queues.js";
import { emptyReport } from "./draft.js";
import { moved, now, requeued, withAttempt, withOutcome } from "./transition.js";

/** A task that this session holds: the record as last written by it, and the revision for the next write. */
export interface Claim {
  readonly id: string;
  readonly attempt: number;
  readonly owner: Owner;
  record: TaskRecord;
  revision: number;
}

/** What an attempt left behind: its reports, and the bytes of each stream of its log. */
export interface AttemptEnd {
  reported: Reported;
  logBytes?: Record<string, number>;
}

/** What became of an outcome: where the task went, or that a newer attempt holds it and the outcome was dropped. */
export type Settled = "ended" | "retried" | "superseded";

const BACKOFF_FACTOR = 2;
const MAX_BACKOFF_MS = 10 * 60_000;

/** The verbs of whoever runs tasks. Every one is a compare-and-set; a stale ticket or attempt loses and nothing happens. */
export class Claims {
  readonly #bucket: Bucket<typeof TaskRecord>;
  readonly #queues: Queues;
  readonly #events: Events;

  constructor(parts: { bucket: Bucket<typeof TaskRecord>; queues: Queues; events: Events }) {
    this.#bucket = parts.bucket;
    this.#queues = parts.queues;
    this.#events = parts.events;
  }

  /**
   * Takes a queued task for a session; undefined when the ticket is stale or someone else was first. `isHeld` says what
   * the session knows that it runs: a running record of ours that it does not know is a claim whose answer was lost.
   */
  async claim(ticket: Pick<Ticket, "id" | "ticket">, owner: Owner, isHeld: (id: string) => boolean): Promise<Claim | undefined> {
    for (;;) {
      const entry = await this.#bucket.get(ticket.id);
      if (!entry) return undefined;
      const { value: record } = entry;
      if (record.status !== "queued" || record.ticket !== ticket.ticket) {
        const isOurs = record.status === "running" && record.owner?.session === owner.session && !isHeld(record.id);
        return isOurs ? { id: record.id, attempt: record.attempt, owner, record, revision: entry.revision } : undefined;
      }
      const at = now();
      const attempt = record.attempt + 1;
      const next = moved(record, "running", {
        reason: `claimed by ${owner.agent}`,
        by: owner.agent,
        at,
        patch: {
          owner,
          attempt,
          attempts: withAttempt(record, { attempt, ...owner, claimedAt: at }),
          phase: "claimed",
          reported: emptyReport(),
        },
      });
      const revision = await this.#bucket.update(ticket.id, next, entry.revision);
      if (revision === undefined) continue; // changed under us: look again, it may have been an edit of its class
      this.#changed(next, revision);
      return { id: ticket.id, attempt, owner, record: next, revision };
    }
  }

  /**
   * Writes what people and controllers see of a running attempt (phase, reports, the delivered wish).
   * @returns false when the attempt is no longer ours
   */
  async note(claim: Claim, patch: Pick<Partial<TaskRecord>, "phase" | "reported">): Promise<boolean> {
    const written = await this.#write(claim, (record) => {
      const { abort } = record;
      const isHeard = patch.phase === "aborting" && abort !== undefined && abort.deliveredAt === undefined;
      return { ...record, ...patch, ...(isHeard ? { abort: { ...abort, deliveredAt: now() } } : {}) };
    });
    return written !== undefined;
  }

  /** A queued task that can never be claimed (its record would pass the limit) fails, instead of standing in the way. */
  async refuse(ticket: Pick<Ticket, "id" | "ticket">, reason: string): Promise<void> {
    const entry = await this.#bucket.modify(ticket.id, (record) => {
      if (record.status !== "queued" || record.ticket !== ticket.ticket) return undefined;
      return smaller(
        moved(record, "failed", { reason, by: "navvy", patch: { outcome: { kind: "setup_failed", reason }, endedAt: now() } }),
      );
    });
    if (entry?.value.status === "failed") this.#changed(entry.value, entry.revision);
  }

  /** The record as it stands, without touching the claim; undefined when the attempt is no longer ours. */
  async look(claim: Claim): Promise<TaskRecord | undefined> {
    const entry = await this.#bucket.get(claim.id);
    return entry && holds(entry.value, claim) ? entry.value : undefined;
  }

  /** Takes the record as it stands for the next write; undefined when the attempt is no longer ours. */
  async refresh(claim: Claim): Promise<TaskRecord | undefined> {
    const entry = await this.#bucket.get(claim.id);
    if (!entry || !holds(entry.value, claim)) return undefined;
    claim.record = entry.value;
    claim.revision = entry.revision;
    return entry.value;
  }

  /**
   * Records how the attempt ended and decides what comes next: ended, or queued again by the user's retries or because
   * the machine was at fault.
   */
  async finish(claim: Claim, outcome: Outcome, end: AttemptEnd): Promise<Settled> {
    let next: TaskRecord | undefined;
    const settle = (record: TaskRecord) => (next = afterOutcome({ ...record, reported: end.reported }, outcome, end.logBytes));
    const revision = await this.#write(claim, settle).catch((error: unknown) => {
      if (!isNavvyError(error, "too_large")) throw error;
      return this.#write(claim, (record) => (next = smaller(settle(record))));
    });
    if (revision === undefined || !next) return "superseded";
    this.#changed(next, revision, { outcome: { kind: outcome.kind, code: outcome.code, signal: outcome.signal } });
    if (next.status !== "queued") return "ended";
    await this.#requeueOrLeave(next);
    return "retried";
  }

  /** Publishes the ticket of a record that was just queued, unless it waits for a time that is yet to come. */
  async requeue(record: TaskRecord): Promise<void> {
    if (record.status !== "queued" || record.queue === undefined) return;
    if (record.notBefore !== undefined && Date.parse(record.notBefore) > Date.now()) return; // the scheduler does it when due
    await this.#queues.publish({ queue: record.queue, class: record.class, shape: record.shape }, { id: record.id, ticket: record.ticket });
  }

  /** The reaper's verb: a running task whose session is gone goes on to its next attempt, or fails at its cap. */
  async lose(id: string, owner: Owner, reason: string): Promise<TaskRecord | undefined> {
    let next: TaskRecord | undefined;
    const entry = await this.#bucket.modify(id, (record) => {
      next =
        record.status === "running" && record.owner?.session === owner.session ? afterOutcome(record, { kind: "lost", reason }) : undefined;
      return next;
    });
    if (!next || !entry) return undefined;
    this.#changed(next, entry.revision, { repaired: "lost session" });
    await this.#requeueOrLeave(next);
    return next;
  }

  /** The record says queued, so the move is made; a ticket that could not be published is the sweeper's to publish. */
  async #requeueOrLeave(record: TaskRecord): Promise<void> {
    await this.requeue(record).catch((error: unknown) => {
      if (!isNavvyError(error)) throw error;
    });
  }

  async #write(claim: Claim, change: (record: TaskRecord) => TaskRecord): Promise<number | undefined> {
    for (;;) {
      const next = change(claim.record);
      const revision = await this.#bucket.update(claim.id, next, claim.revision);
      if (revision !== undefined) {
        claim.record = next;
        claim.revision = revision;
        return revision;
      }
      if (!(await this.refresh(claim))) return undefined; // superseded; else someone left a wish: write over the newer record
    }
  }

  #changed(record: TaskRecord, revision: number, data?: Record<string, unknown>): void {
    this.#events.emit({
      kind: "task",
      id: record.id,
      event: record.status,
      reason: record.reason,
      by: record.by,
      attempt: record.attempt,
      key: revision,
      data: { name: record.name, queue: record.queue, agent: record.owner?.agent ?? record.attempts.at(-1)?.agent, ...data },
    });
  }
}

const KEPT_ARTIFACTS = 40;
const KEPT_METRICS = 40;
const KEPT_NOTES = 5;
const KEPT_ATTEMPTS = 5;

/** What of a record's history and reports must stay when all of it would pass the limit; its own note says what went. */
function smaller(record: TaskRecord): TaskRecord {
  const { artifacts, metrics, notes, progress } = record.reported;
  const note = {
    at: now(),
    level: "error" as const,
    text: "the record passed its limit: outputs and the longer lists of what was reported were left out",
  };
  const clip = (text: string) => text.slice(0, 500);
  return {
    ...record,
    attempts: record.attempts.slice(-KEPT_ATTEMPTS),
    reported: {
      outputs: {},
      metrics: Object.fromEntries(Object.entries(metrics).slice(0, KEPT_METRICS)),
      metricsOmitted: record.reported.metricsOmitted + Math.max(0, Object.keys(metrics).length - KEPT_METRICS),
      artifacts: artifacts.slice(0, KEPT_ARTIFACTS),
      ...(progress ? { progress } : {}),
      notes: [...notes.slice(-KEPT_NOTES).map((one) => ({ ...one, text: clip(one.text) })), note],
    },
  };
}

function holds(record: TaskRecord, claim: Pick<Claim, "attempt" | "owner">): boolean {
  return record.status === "running" && record.attempt === claim.attempt && record.owner?.session === claim.owner.session;
}

/**
 * Where an outcome takes a running record.
 *
 *   success → completed · aborted, or any end under an open abort wish → aborted
 *   failure of the program → queued again while the user's retries last, else failed
 *   failure of the machine → queued again in front while its cap lasts, else failed; never a user's retry
 */
export function afterOutcome(record: TaskRecord, outcome: Outcome, logBytes?: Record<string, number>): TaskRecord {
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
      patch: { ...closed, ...(abort ? { abort: { ...abort, deliveredAt: abort.deliveredAt ?? at } } : {}) },
    });
  const again = (patch: Partial<TaskRecord>, reason: string) => requeued(rest, { reason, by, patch: { ...attempts, outcome, ...patch } });

  if (isSuccess(outcome)) return end("completed", "exited 0");
  if (outcome.kind === "aborted" || abort !== undefined) return end("aborted", abort?.reason ?? outcome.reason ?? "aborted");
  if (blame(outcome) === "machine") {
    if (outcome.kind === "given_back") return again({ class: "front" }, outcome.reason ?? "given back");
    const losses = record.losses + 1;
    if (losses > record.spec.lostLimit || record.spec.command.length === 0)
      return { ...end("failed", `lost: ${outcome.reason ?? "its machine was lost"}`), losses };
    return again({ class: "front", losses }, `lost ${losses} of ${record.spec.lostLimit}: ${outcome.reason ?? "its machine was lost"}`);
  }
  const failures = record.failures + 1;
  const { limit, backoffMs } = record.spec.retries;
  if (failures > limit || outcome.kind === "setup_failed") return { ...end("failed", outcome.reason ?? describe(outcome)), failures };
  const delayMs = Math.min(backoffMs * BACKOFF_FACTOR ** (failures - 1), MAX_BACKOFF_MS);
  const patch = delayMs > 0 ? { failures, notBefore: new Date(Date.now() + delayMs).toISOString() } : { failures };
  return again(patch, `retry ${failures} of ${limit} after ${describe(outcome)}`);
}

function describe(outcome: Outcome): string {
  return outcome.kind === "exited" ? `exit code ${outcome.code}` : outcome.kind === "signalled" ? `signal ${outcome.signal}` : outcome.kind;
}
