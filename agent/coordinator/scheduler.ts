import type { Logger } from "pino";
import type { Navvy } from "../../broker/index.js";
import type { TaskHead } from "../../protocol/index.js";

/** Publishes the tickets of delayed tasks (delays, back-off) when they are due. What it misses the sweeper repairs. */
export class Scheduler {
  readonly #navvy: Navvy;
  readonly #log: Logger;
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(navvy: Navvy, log: Logger) {
    this.#navvy = navvy;
    this.#log = log;
  }

  /** Takes note of a queued task that waits for a time. */
  consider(task: TaskHead): void {
    clearTimeout(this.#timers.get(task.id));
    this.#timers.delete(task.id);
    if (task.status !== "queued" || task.notBefore === undefined || task.queue === undefined) return;
    const delayMs = Date.parse(task.notBefore) - Date.now();
    if (delayMs < -1_000) return; // long due: published then, or the sweeper's business
    // Node's timers end at 2^31 ms; a longer wait is looked at again then.
    this.#timers.set(
      task.id,
      setTimeout(() => this.#due(task), Math.min(Math.max(delayMs, 0), 2 ** 31 - 1)),
    );
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #due(task: TaskHead): void {
    if (Date.parse(task.notBefore ?? "") > Date.now()) return this.consider(task);
    this.#timers.delete(task.id);
    this.#publish(task).catch((error: unknown) =>
      this.#log.warn({ err: error, task: task.id }, "a due task could not be published; the sweeper will"),
    );
  }

  async #publish(task: TaskHead): Promise<void> {
    const lane = await this.#navvy.tasks.claims.laneOf(task);
    if (lane) await this.#navvy.queues.publish(lane, { id: task.id, ticket: task.ticket });
  }
}
