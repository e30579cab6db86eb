import type { Logger } from "pino";
import type { Navvy } from "../../broker/index.js";
import { isNavvyError, type Lane, type TaskHead } from "../../protocol/index.js";
import type { OpenTasks } from "./open-tasks.js";

/** A queued record is left alone for this long: its message may be on its way, and clocks may differ by as much. */
const SETTLE_MS = 5_000;

interface Repair {
  at: number;
  /** Of the message that was published again. */
  sequence: number;
}

/**
 * Finds queued records that lost their message (a client died between its two writes, a server lost its last ones) and
 * publishes the same ticket again. A repeat is harmless: the claim is a compare-and-set. A repaired ticket is repaired again
 * only when the lane has drained past the message of the repair.
 */
export class Sweeper {
  readonly #navvy: Navvy;
  readonly #log: Logger;
  /** By task and ticket. */
  #repairs = new Map<string, Repair>();

  constructor(navvy: Navvy, log: Logger) {
    this.#navvy = navvy;
    this.#log = log;
  }

  async pass(open: OpenTasks): Promise<void> {
    if (!open.isComplete) return;
    const queued = open.queued();
    const lanes = new Map<string, { lane: Lane; tasks: TaskHead[] }>();
    for (const task of queued) {
      if (task.queue === undefined || task.parked || !isRipe(task)) continue;
      const lane: Lane = { queue: task.queue, class: task.class, shape: task.shape };
      const key = this.#navvy.bus.subjects.laneConsumer(lane);
      const known = lanes.get(key) ?? { lane, tasks: [] };
      known.tasks.push(task);
      lanes.set(key, known);
    }
    this.#forget(queued);
    for (const { lane, tasks } of lanes.values()) await this.#sweepOrLeave(lane, tasks);
  }

  /** One lane that can not be mended must not keep the others from it. */
  async #sweepOrLeave(lane: Lane, tasks: TaskHead[]): Promise<void> {
    try {
      await this.#sweep(lane, tasks);
    } catch (error) {
      if (!isNavvyError(error) || error.retryable) throw error;
      this.#log.error({ err: error, ...lane }, "a lane could not be swept");
    }
  }

  /** Republishes what the lane has drained past. */
  async #sweep(lane: Lane, tasks: TaskHead[]): Promise<void> {
    const oldest = await this.#navvy.queues.messages.oldest(lane);
    for (const task of tasks) if (this.#isLost(task, oldest)) await this.#repair(lane, task);
  }

  #isLost(task: TaskHead, oldest: { storedAt: Date; sequence: number } | undefined): boolean {
    const repair = this.#repairs.get(keyOf(task));
    if (repair) return oldest ? oldest.sequence > repair.sequence : Date.now() - repair.at > SETTLE_MS;
    return oldest === undefined || dueAt(task) < oldest.storedAt.getTime() - SETTLE_MS;
  }

  async #repair(place: Lane, task: TaskHead): Promise<void> {
    const lane = (await this.#navvy.tasks.claims.laneOf(task)) ?? place;
    this.#log.warn({ task: task.id, queue: lane.queue }, "a queued task had lost its message: published again");
    const sequence = await this.#navvy.queues.publish(lane, { id: task.id, ticket: task.ticket }, `again.${Date.now()}`);
    this.#repairs.set(keyOf(task), { at: Date.now(), sequence });
    this.#navvy.events.emit({
      kind: "task",
      id: task.id,
      event: "repaired",
      reason: "its queue message was lost; published again",
      data: { ticket: task.ticket },
    });
  }

  /** Only what is still queued with the same ticket is worth remembering. */
  #forget(queued: TaskHead[]): void {
    if (this.#repairs.size === 0) return;
    const keys = new Set(queued.map(keyOf));
    this.#repairs = new Map([...this.#repairs].filter(([key]) => keys.has(key)));
  }
}

const keyOf = (task: TaskHead) => `${task.id}.${task.ticket}`;

/** When the ticket was to be on its lane. */
function dueAt(task: TaskHead): number {
  return Math.max(Date.parse(task.enqueuedAt ?? ""), task.notBefore ? Date.parse(task.notBefore) : 0);
}

function isRipe(task: TaskHead): boolean {
  return Date.now() - dueAt(task) > SETTLE_MS;
}
