import {
  type AttemptFacts,
  type ChildrenOnAbort,
  isNavvyError,
  type Lane,
  laneOf,
  type OnDisconnect,
  type Outcome,
  type Owner,
  parseShape,
  type Reported,
  type TaskHead,
  type TaskRecord,
  type Ticket,
} from "../../protocol/index.js";
import type { Bucket } from "../bucket.js";
import type { Events } from "../events.js";
import type { Queues } from "../queues.js";
import { afterOutcome, type Left, smaller } from "./after-outcome.js";
import { claimed, moved, now, withFacts } from "./transition.js";
import { unparkTask, type Wake } from "./unpark.js";

/** A task that this session holds: the record as last written by it, and the revision for the next write. */
export interface Claim {
  readonly id: string;
  readonly attempt: number;
  readonly owner: Owner;
  record: TaskRecord;
  revision: number;
}

/** What an attempt left behind: its reports, and the bytes of each stream of its log. */
export interface AttemptEnd extends Left {
  reported: Reported;
  childrenOnAbort?: ChildrenOnAbort | undefined;
  /** What its agent found out about it. */
  facts?: AttemptFacts;
}

/** What is written of a running attempt on its way. */
export type NotePatch = Pick<Partial<TaskRecord>, "phase" | "reported" | "childrenOnAbort">;

/** What an agent knows when it claims. */
export interface ClaimOptions {
  /** Whether the session runs this task: a running record of ours that it does not know is a claim whose answer was lost. */
  isHeld: (id: string) => boolean;
  /** What the task's queue says; the task's own word comes first. */
  onDisconnect?: OnDisconnect | undefined;
  /** The GPUs that it will hold, as the record is to name them. */
  gpus?: string[] | undefined;
}

/** An attempt that runs on a machine, as its agent's earlier session held it. */
export interface Held {
  id: string;
  attempt: number;
  session: string;
}

/** What became of an outcome: where the task went, or that a newer attempt holds it and the outcome was dropped. */
export type Settled = "ended" | "retried" | "parked" | "superseded";

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

  /** Takes a queued task for a session; undefined when the ticket is stale or someone else was first. */
  async claim(ticket: Pick<Ticket, "id" | "ticket">, owner: Owner, options: ClaimOptions): Promise<Claim | undefined> {
    for (;;) {
      const entry = await this.#bucket.get(ticket.id);
      if (!entry) return undefined;
      const { value: record } = entry;
      if (record.status !== "queued" || record.ticket !== ticket.ticket) {
        const isOurs = record.status === "running" && record.owner?.session === owner.session && !options.isHeld(record.id);
        return isOurs ? { id: record.id, attempt: record.attempt, owner, record, revision: entry.revision } : undefined;
      }
      const gpus = options.gpus?.length ? { gpus: options.gpus } : {};
      const attempt = { attempt: record.attempt + 1, ...owner, claimedAt: now(), ...gpus };
      const next = claimed(record, attempt, record.spec.onDisconnect ?? options.onDisconnect);
      const revision = await this.#bucket.update(ticket.id, next, entry.revision);
      if (revision === undefined) continue; // changed under us: look again, it may have been an edit of its class
      this.#changed(next, revision);
      return { id: ticket.id, attempt: next.attempt, owner, record: next, revision };
    }
  }

  /**
   * Takes a running attempt over from an earlier session of the same agent; attempt, phase and reports stay as they are.
   * Safe to repeat when an answer was lost: a record that names the new session already is won.
   * @returns undefined when the attempt is no longer there: superseded, ended or deleted
   */
  async adopt(held: Held, owner: Owner): Promise<Claim | undefined> {
    const { id, attempt, session } = held;
    for (;;) {
      const entry = await this.#bucket.get(id);
      const record = entry?.value;
      if (record?.status !== "running" || record.attempt !== attempt) return undefined;
      if (record.owner?.session === owner.session) return this.#adopted({ id, attempt, owner, record, revision: entry?.revision ?? 0 });
      if (!entry || record.owner?.session !== session) return undefined;
      const { unreachableAt: _unreachableAt, ...rest } = record;
      const attempts = record.attempts.map((each) => (each.attempt === attempt ? { ...each, ...owner } : each));
      const next = { ...rest, owner, attempts };
      const revision = await this.#bucket.update(id, next, entry.revision);
      if (revision !== undefined) return this.#adopted({ id, attempt, owner, record: next, revision });
    }
  }

  /**
   * Writes what people and controllers see of a running attempt (phase, reports, the delivered wish), and its facts.
   * @returns false when the attempt is no longer ours
   */
  async note(claim: Claim, patch: NotePatch, facts?: AttemptFacts): Promise<boolean> {
    const written = await this.#write(claim, (record) => {
      const { abort } = record;
      const isHeard = patch.phase === "aborting" && abort !== undefined && abort.deliveredAt === undefined;
      return { ...withFacts(record, facts), ...patch, ...(isHeard ? { abort: { ...abort, deliveredAt: now() } } : {}) };
    });
    if (written !== undefined) this.#events.ring(claim.record);
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
    const { reported, facts, childrenOnAbort } = end;
    const said = { reported, ...(childrenOnAbort ? { childrenOnAbort } : {}) };
    const settle = (record: TaskRecord) => (next = afterOutcome({ ...withFacts(record, facts), ...said }, outcome, end));
    const revision = await this.#write(claim, settle).catch((error: unknown) => {
      if (!isNavvyError(error, "too_large")) throw error;
      return this.#write(claim, (record) => (next = smaller(settle(record))));
    });
    if (revision === undefined || !next) return "superseded";
    this.#changed(next, revision, { outcome: { kind: outcome.kind, code: outcome.code, signal: outcome.signal } });
    if (next.status !== "queued") return "ended";
    if (next.parked) return "parked";
    await this.#requeueOrLeave(next);
    return "retried";
  }

  /**
   * Wakes a parked task; one that runs will not park then. `ticket`: only while it is parked under that one.
   * @returns undefined when there was nothing to wake
   */
  async unpark(id: string, wake: Wake): Promise<TaskRecord | undefined> {
    const changed = await unparkTask(this.#bucket, id, wake);
    if (changed?.value.status !== "queued") return changed?.value;
    this.#told(changed.value, { event: "woken", reason: changed.value.reason, by: wake.by, key: changed.revision });
    await this.#requeueOrLeave(changed.value);
    return changed.value;
  }

  /** Publishes the ticket of a record that was just queued, unless it is parked or waits for a time that is yet to come. */
  async requeue(record: TaskRecord): Promise<void> {
    const lane = laneOf(record);
    if (record.status !== "queued" || record.parked || lane === undefined) return;
    if (record.notBefore !== undefined && Date.parse(record.notBefore) > Date.now()) return; // the scheduler does it when due
    await this.#queues.publish(lane, { id: record.id, ticket: record.ticket });
  }

  /**
   * Where a queued task's ticket goes. What a hashed shape asks for stands only in the record, so that is read for those.
   * @returns undefined when the task is gone or was never queued
   */
  async laneOf(head: TaskHead): Promise<Lane | undefined> {
    const { queue, class: name, shape } = head;
    if (queue !== undefined && parseShape(shape)) return { queue, class: name, shape };
    const entry = await this.#bucket.get(head.id);
    return entry && laneOf({ ...entry.value, queue, class: name, shape });
  }

  /** Gives a running attempt of this session up: it goes on to its next attempt, or fails at its cap. */
  async lose(id: string, owner: Owner, reason: string): Promise<TaskRecord | undefined> {
    return this.#repair(id, owner, (record) => afterOutcome(record, { kind: "lost", reason }));
  }

  /**
   * The reaper's verb, for a running task whose session is gone. One that runs on without a lease (`continue`) may still
   * live on its machine: it is only marked, once, and stays where it is.
   * @returns the record as it was changed; undefined when nothing was to be done
   */
  async reap(id: string, owner: Owner): Promise<TaskRecord | undefined> {
    return this.#repair(id, owner, (record) => {
      if (record.onDisconnect !== "continue") return afterOutcome(record, { kind: "lost", reason: `agent ${owner.agent} was lost` });
      return record.unreachableAt === undefined ? { ...record, unreachableAt: now() } : undefined;
    });
  }

  async #repair(id: string, owner: Owner, change: (record: TaskRecord) => TaskRecord | undefined): Promise<TaskRecord | undefined> {
    let next: TaskRecord | undefined;
    const repair = (record: TaskRecord) => {
      next = record.status === "running" && record.owner?.session === owner.session ? change(record) : undefined;
      return next;
    };
    const entry = await this.#bucket.modify(id, repair).catch((error: unknown) => {
      if (!isNavvyError(error, "too_large")) throw error;
      return this.#bucket.modify(id, (record) => (repair(record) ? (next = smaller(next ?? record)) : undefined));
    });
    if (!next || !entry) return undefined;
    if (next.status === "running") {
      this.#told(next, {
        event: "unreachable",
        reason: `agent ${owner.agent} is out of reach; the task runs on there`,
        key: entry.revision,
      });
      return next;
    }
    this.#changed(next, entry.revision, { repaired: "lost session" });
    await this.#requeueOrLeave(next);
    return next;
  }

  /** The key makes a repeat after a lost answer count once. */
  #adopted(claim: Claim): Claim {
    const { agent, session } = claim.owner;
    this.#told(claim.record, { event: "adopted", reason: `goes on under a new session of ${agent}`, key: `${claim.attempt}.${session}` });
    return claim;
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
    this.#told(record, { event: record.parked ? "parked" : record.status, reason: record.reason, by: record.by, key: revision, data });
  }

  #told(
    record: TaskRecord,
    said: { event: string; reason: string; by?: string; key: string | number; data?: Record<string, unknown> | undefined },
  ): void {
    const { data, ...rest } = said;
    const agent = record.owner?.agent ?? record.attempts.at(-1)?.agent;
    this.#events.emit({
      kind: "task",
      id: record.id,
      attempt: record.attempt,
      parent: record.parent,
      ...rest,
      data: { name: record.name, queue: record.queue, agent, ...data },
    });
  }
}

function holds(record: TaskRecord, claim: Pick<Claim, "attempt" | "owner">): boolean {
  return record.status === "running" && record.attempt === claim.attempt && record.owner?.session === claim.owner.session;
}
