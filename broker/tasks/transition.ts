import { type Attempt, type AttemptFacts, assertMove, type Outcome, type TaskRecord, type TaskStatus } from "../../protocol/index.js";

export interface MoveReason {
  reason: string;
  by: string;
  at?: string;
}

const MAX_ATTEMPTS_KEPT = 20;

/**
 * The next record of a legal move. Pure: the compare-and-set around it decides.
 * @throws NavvyError illegal_move
 */
export function moved(record: TaskRecord, to: TaskStatus, change: MoveReason & { patch?: Partial<TaskRecord> }): TaskRecord {
  assertMove(record.id, record.status, to);
  const { phase: _phase, onDisconnect: _onDisconnect, unreachableAt: _unreachableAt, ...rest } = record;
  return { ...rest, status: to, reason: change.reason, by: change.by, changedAt: change.at ?? now(), ...change.patch };
}

/** A new ticket: every older message of the task is stale from here on. */
export function requeued(record: TaskRecord, change: MoveReason & { patch?: Partial<TaskRecord> }): TaskRecord {
  const { owner: _owner, abort: _abort, notBefore: _notBefore, ...rest } = record;
  const patch = { ticket: record.ticket + 1, enqueuedAt: now(), ...change.patch };
  return record.status === "queued"
    ? { ...rest, reason: change.reason, by: change.by, changedAt: now(), ...patch }
    : moved(rest, "queued", { ...change, patch });
}

/** Closes the record's running attempt with its outcome. */
export function withOutcome(
  record: TaskRecord,
  outcome: Outcome,
  end: { endedAt: string; logBytes?: Record<string, number> | undefined },
): Pick<TaskRecord, "attempts"> {
  const { tail: _tail, ...brief } = outcome; // the last lines stand once, in the record's own outcome
  const attempts = record.attempts.map((attempt) =>
    attempt.attempt === record.attempt ? { ...attempt, outcome: brief, ...end } : attempt,
  );
  return { attempts };
}

/** The record with more known about its running attempt. */
export function withFacts(record: TaskRecord, facts: AttemptFacts | undefined): TaskRecord {
  if (facts === undefined || Object.keys(facts).length === 0) return record;
  return { ...record, attempts: record.attempts.map((each) => (each.attempt === record.attempt ? { ...each, ...facts } : each)) };
}

export function withAttempt(record: TaskRecord, attempt: Attempt): Attempt[] {
  return [...record.attempts, attempt].slice(-MAX_ATTEMPTS_KEPT);
}

export function now(): string {
  return new Date().toISOString();
}
