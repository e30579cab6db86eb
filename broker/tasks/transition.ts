import {
  type AbortWish,
  type Attempt,
  type AttemptFacts,
  assertMove,
  type OnDisconnect,
  type Outcome,
  type TaskRecord,
  type TaskStatus,
} from "../../protocol/index.js";

export interface MoveReason {
  reason: string;
  by: string;
  at?: string;
}

const MAX_ATTEMPTS_KEPT = 20;
/** Of a task that parks often, so that they do not crowd out the others. */
const MAX_PARKED_KEPT = 10;

/**
 * The next record of a legal move. Pure: the compare-and-set around it decides.
 * @throws NavvyError illegal_move
 */
export function moved(record: TaskRecord, to: TaskStatus, change: MoveReason & { patch?: Partial<TaskRecord> }): TaskRecord {
  assertMove(record.id, record.status, to);
  const { phase: _phase, onDisconnect: _onDisconnect, unreachableAt: _unreachableAt, parked: _parked, wokenAt: _wokenAt, ...left } = record;
  const { firstAttempt: _firstAttempt, childrenOnAbort: _childrenOnAbort, ...fresh } = left;
  const rest = to === "draft" ? fresh : left;
  return { ...rest, status: to, reason: change.reason, by: change.by, changedAt: change.at ?? now(), ...change.patch };
}

/** A new ticket: every older message of the task is stale from here on. */
export function requeued(record: TaskRecord, change: MoveReason & { patch?: Partial<TaskRecord> }): TaskRecord {
  const { owner: _owner, abort: _abort, notBefore: _notBefore, parked: _parked, ...rest } = record;
  const patch = { ticket: record.ticket + 1, enqueuedAt: now(), ...change.patch };
  return record.status === "queued"
    ? { ...rest, reason: change.reason, by: change.by, changedAt: now(), ...patch }
    : moved(rest, "queued", { ...change, patch });
}

/** Closes the record's running attempt with its outcome. */
export function withOutcome(
  record: TaskRecord,
  outcome: Outcome,
  end: Pick<Attempt, "endedAt" | "logBytes" | "parked">,
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

export function withAttempt({ attempts }: TaskRecord, attempt: Attempt): Attempt[] {
  const parked = attempts.slice(1).filter((each) => each.parked);
  const isLeftOut = new Set(parked.slice(0, -MAX_PARKED_KEPT));
  return latest([...attempts.filter((each) => !isLeftOut.has(each)), attempt], MAX_ATTEMPTS_KEPT);
}

/** So many attempts: the latest, and the first of all, which tells the life of a task from the one after a reset. */
export function latest(attempts: Attempt[], most: number): Attempt[] {
  return attempts.length <= most ? attempts : [...attempts.slice(0, 1), ...attempts.slice(1 - most)];
}

/** A running record with the wish; one that does not run ends at once, unless it is parked and has to see to something first. */
export function aborting(record: TaskRecord, wish: AbortWish): TaskRecord {
  if (record.status === "running") return { ...record, abort: { ...record.abort, ...wish } };
  const { at, by, reason } = wish;
  if (record.parked?.tidies) return requeued(record, { reason: `woken to end: ${reason}`, by, patch: { class: "front", abort: wish } });
  return moved(record, "aborted", { reason, by, at, patch: { abort: wish, endedAt: at, outcome: { kind: "aborted", reason } } });
}

/** A queued record as a session's running attempt. What one that has parked reported before stays: the program goes on with it. */
export function claimed(record: TaskRecord, entry: Attempt, onDisconnect: OnDisconnect | undefined): TaskRecord {
  const { attempt, agent, session, claimedAt: at } = entry;
  return moved(record, "running", {
    reason: `claimed by ${agent}`,
    by: agent,
    at,
    patch: {
      owner: { agent, session },
      attempt,
      attempts: withAttempt(record, entry),
      phase: "claimed",
      ...(record.firstAttempt === undefined ? { reported: emptyReport() } : {}),
      ...(onDisconnect ? { onDisconnect } : {}),
      ...(record.abort ? { abort: { ...record.abort, deliveredAt: at } } : {}),
    },
  });
}

export function emptyReport(): TaskRecord["reported"] {
  return { outputs: {}, metrics: {}, metricsOmitted: 0, artifacts: [], notes: [] };
}

export function now(): string {
  return new Date().toISOString();
}
