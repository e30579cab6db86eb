import { hostname } from "node:os";
import { ulid } from "ulid";
import { isNavvyError, type Owner, SessionRecord } from "../protocol/index.js";
import { Bucket } from "./bucket.js";
import type { Bus } from "./bus.js";

export const DEFAULT_LEASE_MS = 15_000;

/**
 * One incarnation of an agent and its lease. The key is made before the first claim, renewed by compare-and-set on its
 * own revision and never made again: once it is deleted, the next renewal says `revoked`.
 */
export class Session {
  readonly owner: Owner;
  readonly leaseMs: number;
  readonly #bucket: Bucket<typeof SessionRecord>;
  #record: SessionRecord;
  #revision: number;
  /** Monotonic time of the *sending* of the last renewal that is known to have succeeded. */
  #renewedAt: number;
  #sentAt: number;

  private constructor(bucket: Bucket<typeof SessionRecord>, made: { record: SessionRecord; revision: number; sentAt: number }) {
    this.#bucket = bucket;
    this.#record = made.record;
    this.#revision = made.revision;
    this.#renewedAt = made.sentAt;
    this.#sentAt = made.sentAt;
    this.leaseMs = made.record.leaseMs;
    this.owner = { agent: made.record.agent, session: made.record.session };
  }

  static async open(bus: Bus, options: { agent: string; leaseMs?: number }): Promise<Session> {
    const bucket = sessionsBucket(bus);
    const sentAt = performance.now();
    const record: SessionRecord = {
      type: "navvy.session.v1",
      agent: options.agent,
      session: ulid(),
      startedAt: new Date().toISOString(),
      host: hostname(),
      pid: process.pid,
      leaseMs: options.leaseMs ?? DEFAULT_LEASE_MS,
      renewals: 0,
    };
    const revision = await bucket.create(sessionKey(record), record);
    if (revision === undefined) throw new Error("a session id was used twice: ULIDs can not repeat");
    return new Session(bucket, { record, revision, sentAt });
  }

  get revision(): number {
    return this.#revision;
  }

  /** Milliseconds since the last successful renewal was sent. */
  get ageMs(): number {
    return performance.now() - this.#renewedAt;
  }

  /** @throws NavvyError timeout, nats_unreachable: not known whether it was renewed; the next call finds out */
  async renew(): Promise<"renewed" | "revoked"> {
    const next = { ...this.#record, renewals: this.#record.renewals + 1 };
    this.#sentAt = performance.now();
    const revision = await this.#bucket.update(sessionKey(next), next, this.#revision);
    if (revision === undefined) return this.#readBack();
    this.#took(next, revision);
    return "renewed";
  }

  /** Gives the lease up in good order: nothing runs under it any more. */
  async release(): Promise<void> {
    await this.#bucket.delete(sessionKey(this.#record), this.#revision).catch((error: unknown) => {
      if (!isNavvyError(error)) throw error; // out of reach: the reaper takes it after the lease
    });
  }

  /** An earlier renewal of ours may have been carried out although its answer was lost: then the key is one ahead. */
  async #readBack(): Promise<"renewed" | "revoked"> {
    const entry = await this.#bucket.get(sessionKey(this.#record));
    if (entry?.value.session !== this.owner.session) return "revoked";
    this.#record = entry.value;
    this.#revision = entry.revision;
    const again = { ...this.#record, renewals: this.#record.renewals + 1 };
    this.#sentAt = performance.now();
    const revision = await this.#bucket.update(sessionKey(again), again, entry.revision);
    if (revision === undefined) return "revoked";
    this.#took(again, revision);
    return "renewed";
  }

  #took(record: SessionRecord, revision: number): void {
    this.#record = record;
    this.#revision = revision;
    this.#renewedAt = this.#sentAt;
  }
}

export function sessionsBucket(bus: Bus): Bucket<typeof SessionRecord> {
  return new Bucket(bus, { name: bus.assets.buckets.sessions.name, patienceMs: 0 }, SessionRecord);
}

/** Where a session stands in its bucket. */
export const sessionKey = (record: Owner) => `${record.agent}.${record.session}`;
