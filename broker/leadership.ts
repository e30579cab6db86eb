import { LeaderRecord, type Owner } from "../protocol/index.js";
import { Bucket, type Entry } from "./bucket.js";
import type { Bus } from "./bus.js";

const KEY = "leader";
/** How many leases a leader may be silent, by our own clock, before its place is taken. */
const SILENT_LEASES = 1.2;

/**
 * The coordinator's place: a lease on one key. Whoever holds it does the fleet's duties; they are compare-and-sets, so
 * two leaders at once do no harm.
 */
export class Leadership {
  readonly #bucket: Bucket<typeof LeaderRecord>;
  readonly #leaseMs: number;
  /** The leader as last seen, and when (monotonic) its revision was first seen. */
  #seen: { revision: number; at: number } | undefined;
  #held: { record: LeaderRecord; revision: number } | undefined;

  constructor(bus: Bus, leaseMs: number) {
    this.#bucket = new Bucket(bus, bus.assets.buckets.control.name, LeaderRecord);
    this.#leaseMs = leaseMs;
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** Renews the place if it is ours, takes it if it is free or its holder silent. @returns whether it is ours now */
  async campaign(owner: Owner): Promise<boolean> {
    if (this.#held && (await this.#renew(owner))) return true;
    this.#held = undefined;
    const entry = await this.#bucket.get(KEY);
    if (!entry) return this.#take(owner, undefined);
    if (entry.value.session === owner.session) return this.#take(owner, entry); // a renewal of ours whose answer was lost
    if (this.#seen?.revision !== entry.revision) this.#seen = { revision: entry.revision, at: performance.now() };
    // By the holder's own lease: one with a short lease must not take the place of one that renews at its own pace.
    const isSilent = performance.now() - this.#seen.at > entry.value.leaseMs * SILENT_LEASES;
    return isSilent ? this.#take(owner, entry) : false;
  }

  /** Leaves the place free, so that the next one need not wait. */
  async resign(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    if (held) await this.#bucket.delete(KEY, held.revision);
  }

  /** Frees the place of a session that is known to be dead, so that nobody has to wait for its lease. */
  async vacate(session: string): Promise<void> {
    const entry = await this.#bucket.get(KEY);
    if (entry?.value.session === session) await this.#bucket.delete(KEY, entry.revision);
  }

  async #renew(owner: Owner): Promise<boolean> {
    if (!this.#held || this.#held.record.session !== owner.session) return false;
    const record = { ...this.#held.record, renewals: this.#held.record.renewals + 1 };
    const revision = await this.#bucket.update(KEY, record, this.#held.revision);
    if (revision === undefined) return false;
    this.#held = { record, revision };
    return true;
  }

  async #take(owner: Owner, from: Entry<LeaderRecord> | undefined): Promise<boolean> {
    const record: LeaderRecord = {
      type: "navvy.leader.v1",
      ...owner,
      since: new Date().toISOString(),
      leaseMs: this.#leaseMs,
      renewals: 0,
    };
    const revision = from ? await this.#bucket.update(KEY, record, from.revision) : await this.#bucket.create(KEY, record);
    if (revision === undefined) return false;
    this.#held = { record, revision };
    return true;
  }
}
