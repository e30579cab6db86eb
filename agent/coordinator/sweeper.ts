import type { Logger } from "pino";
import type { Navvy } from "../../broker/index.js";
import type { Lane, TaskHead } from "../../protocol/index.js";
import type { OpenTasks } from "./open-tasks.js";

/** A queued record is left alone for this long: its message may be on its way. */
const SETTLE_MS = 5_000;

/**
 * Finds queued records that lost their message (a client died between its two writes, a server lost its last ones) and
 * publishes the same ticket again. A repeat is harmless: the claim is a compare-and-set.
 */
export class Sweeper {
  readonly #navvy: Navvy;
  readonly #log: Logger;

  constructor(navvy: Navvy, log: Logger) {
    this.#navvy = navvy;
    this.#log = log;
  }

  async pass(open: OpenTasks): Promise<void> {
    if (!open.isComplete) return;
    const lanes = new Map<string, { lane: Lane; tasks: TaskHead[] }>();
    for (const task of open.queued()) {
      if (task.queue === undefined || !isRipe(task)) continue;
      const lane = { queue: task.queue, class: task.class, shape: task.shape };
      const key = this.#navvy.bus.subjects.laneConsumer(lane);
      const known = lanes.get(key) ?? { lane, tasks: [] };
      known.tasks.push(task);
      lanes.set(key, known);
    }
    for (const { lane, tasks } of lanes.values()) await this.#sweep(lane, tasks);
  }

  /** Republishes what the lane has drained past. */
  async #sweep(lane: Lane, tasks: TaskHead[]): Promise<void> {
    const oldest = await this.#navvy.queues.oldestWaiting(lane);
    const lost = tasks.filter((task) => oldest === undefined || dueAt(task) < oldest.getTime() - SETTLE_MS);
    for (const task of lost) {
      this.#log.warn({ task: task.id, queue: lane.queue }, "a queued task had lost its message: published again");
      await this.#navvy.queues.publish(lane, { id: task.id, ticket: task.ticket }, `again.${Date.now()}`);
      this.#navvy.events.emit({
        kind: "task",
        id: task.id,
        event: "repaired",
        reason: "its queue message was lost; published again",
        data: { ticket: task.ticket },
      });
    }
  }
}

/** When the ticket was to be on its lane. */
function dueAt(task: TaskHead): number {
  return Math.max(Date.parse(task.enqueuedAt ?? ""), task.notBefore ? Date.parse(task.notBefore) : 0);
}

function isRipe(task: TaskHead): boolean {
  return Date.now() - dueAt(task) > SETTLE_MS;
}
