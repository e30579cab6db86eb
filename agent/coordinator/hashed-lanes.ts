import type { Logger } from "pino";
import type { Navvy } from "../../broker/index.js";
import { type Lane, parseShape, type TaskHead } from "../../protocol/index.js";
import type { OpenTasks } from "./open-tasks.js";

const UNUSED_MS = 10 * 60_000;

/**
 * Looks after the lanes of hashed shapes, of which there may be as many as there are different needs. One whose needs a client of
 * an older navvy left out of the queue's entry gets them again, since no agent could tell whom it fits. One that no task has used
 * for a while is taken away: each costs the server a consumer. Whoever publishes on it next makes it again.
 */
export class HashedLanes {
  readonly #navvy: Navvy;
  readonly #log: Logger;
  readonly #unusedMs: number;
  /** Since when nobody was seen to use a lane. */
  #unusedSince = new Map<string, number>();

  constructor(navvy: Navvy, log: Logger, unusedMs = UNUSED_MS) {
    this.#navvy = navvy;
    this.#log = log;
    this.#unusedMs = unusedMs;
  }

  async pass(open: Pick<OpenTasks, "isComplete" | "queued" | "running">): Promise<void> {
    if (!open.isComplete) return;
    const { queues, bus } = this.#navvy;
    const keyOf = (lane: Lane) => bus.subjects.laneConsumer(lane);
    const users = new Map<string, TaskHead>();
    for (const task of [...open.running(), ...open.queued()])
      if (task.queue !== undefined) users.set(keyOf({ queue: task.queue, class: task.class, shape: task.shape }), task);
    const entries = await queues.list();
    const standing = new Set((await queues.messages.counts()).map(({ lane }) => keyOf(lane)));
    const unused = new Map<string, number>();
    for (const lane of entries.flatMap((entry) => entry.lanes.map((each): Lane => ({ queue: entry.name, ...each })))) {
      if (parseShape(lane.shape)) continue;
      const key = keyOf(lane);
      const user = users.get(key);
      if (user && lane.needs === undefined) await this.#complete(user);
      if (user || standing.has(key)) continue;
      const since = this.#unusedSince.get(key) ?? performance.now();
      if (performance.now() - since < this.#unusedMs) unused.set(key, since);
      else await this.#remove(lane);
    }
    this.#unusedSince = unused;
  }

  async #complete(user: TaskHead): Promise<void> {
    const lane = await this.#navvy.tasks.claims.laneOf(user);
    if (lane) await this.#navvy.queues.ensureLane(lane);
  }

  async #remove(lane: Lane): Promise<void> {
    await this.#navvy.queues.removeLane(lane);
    this.#log.info({ ...lane }, "a lane that no task has used for a while was taken away");
  }
}
