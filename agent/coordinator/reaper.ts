import type { Logger } from "pino";
import { type Navvy, sessionsBucket, snapshot } from "../../broker/index.js";
import type { OpenTasks } from "./open-tasks.js";

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
 * A session counts as silent only over time in which this reaper's own reads worked: `forget()` after an outage.
 */
export class Reaper {
  readonly #navvy: Navvy;
  readonly #log: Logger;
  readonly #seen = new Map<string, Seen>();

  constructor(navvy: Navvy, log: Logger) {
    this.#navvy = navvy;
    this.#log = log;
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
      if (!task.owner || alive.has(task.owner.session)) continue;
      const lost = await this.#navvy.tasks.claims.lose(task.id, task.owner, `agent ${task.owner.agent} was lost`);
      if (lost) this.#log.warn({ task: task.id, agent: task.owner.agent, status: lost.status }, "a task's agent is gone: taken back");
    }
  }

  /** The sessions that live; those that stood still for too long are deleted by compare-and-set. */
  async #sessions(): Promise<Set<string>> {
    const bucket = sessionsBucket(this.#navvy.bus);
    const entries = await snapshot(this.#navvy.bus, bucket);
    const now = performance.now();
    const alive = new Set<string>();
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
