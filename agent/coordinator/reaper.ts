import type { Logger } from "pino";
import { type Navvy, sessionKey, sessionsBucket, snapshot } from "../../broker/index.js";
import { isNavvyError, type Owner } from "../../protocol/index.js";
import type { OpenTasks } from "./open-tasks.js";

/** Our own reads may be this far apart before the time between them counts as an outage of ours. */
const LEAST_GAP_MS = 1_000;
/** How many leases a session may stand still, by our own clock, before it is taken for dead. */
const DEAD_AFTER_LEASES = 1.2;

interface Seen {
  revision: number;
  at: number;
}

/**
 * Takes dead sessions away and their tasks back. Level-triggered: each pass looks at every running record whose owner's
 * key is absent, whenever that came about (an edge-triggered pass left tasks stuck: a frozen agent can still claim after
 * its session was reaped).
 *
 * A session counts as silent only over time in which this reaper's own reads worked: reads that failed, hung or came late (this
 * process was frozen, the server was) start all counts over.
 */
export class Reaper {
  readonly #navvy: Navvy;
  readonly #log: Logger;
  readonly #maxGapMs: number;
  readonly #seen = new Map<string, Seen>();
  /** When the last reading was complete. */
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(navvy: Navvy, log: Logger, options: { everyMs: number; leaseMs: number }) {
    this.#navvy = navvy;
    this.#log = log;
    this.#maxGapMs = Math.max(LEAST_GAP_MS, options.everyMs + options.leaseMs / 3);
  }

  /** Starts all counts over: our own reads did not work for a while. */
  forget(): void {
    this.#seen.clear();
  }

  async pass(open: OpenTasks): Promise<void> {
    if (!open.isComplete) return;
    // Tasks first, sessions second: a task claimed in between has its session in the second reading.
    const running = open.running();
    const alive = await this.#sessions();
    for (const task of running) {
      const { owner } = task;
      if (!owner || task.unreachableAt !== undefined || alive.has(owner.session)) continue;
      // On a cluster the list may come from a copy that is behind; one key is read from the one that leads.
      if (await this.#isThere(owner)) alive.add(owner.session);
      else await this.#reap(task.id, owner);
    }
  }

  async #isThere(owner: Owner): Promise<boolean> {
    return (await sessionsBucket(this.#navvy.bus).get(sessionKey(owner))) !== undefined;
  }

  /** One record that can not be changed (a newer navvy's, a damaged one) must not keep the others from being taken back. */
  async #reap(id: string, owner: Owner): Promise<void> {
    const said = { task: id, agent: owner.agent };
    try {
      const repaired = await this.#navvy.tasks.claims.reap(id, owner);
      if (repaired?.status === "running") this.#log.warn(said, "a task's agent is out of reach: it runs on there without a lease");
      else if (repaired) this.#log.warn({ ...said, status: repaired.status }, "a task's agent is gone: taken back");
    } catch (error) {
      if (!isNavvyError(error) || error.retryable) throw error;
      this.#log.error({ err: error, ...said }, "a task whose agent is gone could not be taken back");
    }
  }

  /** The sessions that live; those that stood still for too long are deleted by compare-and-set. */
  async #sessions(): Promise<Set<string>> {
    const bucket = sessionsBucket(this.#navvy.bus);
    const entries = await snapshot(this.#navvy.bus, bucket, { mayMiss: true });
    const now = performance.now();
    if (now - this.#readAt > this.#maxGapMs) this.forget();
    this.#readAt = now;
    const alive = new Set<string>();
    const there = new Set(entries.map(({ key }) => key));
    for (const key of this.#seen.keys()) if (!there.has(key)) this.#seen.delete(key);
    for (const { key, value, revision } of entries) {
      const seen = this.#seen.get(key);
      if (seen?.revision !== revision) this.#seen.set(key, { revision, at: now });
      const isDead = seen?.revision === revision && now - seen.at > value.leaseMs * DEAD_AFTER_LEASES;
      if (!isDead || !(await bucket.delete(key, revision))) {
        alive.add(value.session);
        continue;
      }
      this.#seen.delete(key);
      this.#log.warn({ agent: value.agent, session: value.session }, "a session was silent for too long: revoked");
      this.#navvy.events.emit({
        kind: "agent",
        id: value.agent,
        event: "lost",
        reason: `no renewal for ${Math.round(now - (seen?.at ?? now))} ms`,
        key: revision,
        data: { session: value.session },
      });
    }
    return alive;
  }
}
