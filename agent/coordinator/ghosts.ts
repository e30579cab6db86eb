import type { Logger } from "pino";
import type { Navvy } from "../../broker/index.js";
import type { Lane } from "../../protocol/index.js";

/**
 * Deletes ghosts: messages that were acknowledged and that a killed server (before 2.10) brought back where no consumer will
 * ever give them out. A ghost is deleted when it was seen in two passes, so that an acknowledgement that is being carried out
 * right now is not counted as one. Should one of them still be a task's only ticket, the sweeper publishes that again.
 */
export class Ghosts {
  readonly #navvy: Navvy;
  readonly #log: Logger;
  /** By lane: what the last pass saw. */
  #seen = new Map<string, Set<number>>();

  constructor(navvy: Navvy, log: Logger) {
    this.#navvy = navvy;
    this.#log = log;
  }

  async pass(): Promise<void> {
    const { queues, bus } = this.#navvy;
    const seen = new Map<string, Set<number>>();
    for (const { lane } of await queues.messages.counts()) {
      const key = bus.subjects.laneConsumer(lane);
      const found = await queues.messages.ghosts(lane);
      const before = this.#seen.get(key);
      const sure = found.filter((sequence) => before?.has(sequence));
      if (sure.length > 0) await this.#delete(lane, sure);
      if (found.length > sure.length) seen.set(key, new Set(found));
    }
    this.#seen = seen;
  }

  async #delete(lane: Lane, sequences: number[]): Promise<void> {
    const { queues, events } = this.#navvy;
    let deleted = 0;
    for (const sequence of sequences) if (await queues.messages.delete(sequence)) deleted++;
    if (deleted === 0) return; // another leader was faster
    const reason = `${deleted} acknowledged message${deleted === 1 ? "" : "s"} had come back with the server: deleted`;
    this.#log.warn({ ...lane, deleted }, reason);
    events.emit({
      kind: "queue",
      id: lane.queue,
      event: "repaired",
      reason,
      data: { class: lane.class, shape: lane.shape, ghosts: deleted, first: sequences[0], last: sequences.at(-1) },
    });
  }
}
