import type { Navvy } from "../../broker/index.js";
import type { Lane } from "../../protocol/index.js";

/** More lanes than this are first narrowed down, by one request for each queue, to those on which anything stands. */
const LOOK_AT_EACH = 3;

/** A lane and what is known of its oldest message: its sequence, or (`isBound`) that it can not be older than that. */
interface Head {
  sequence: number;
  isBound: boolean;
  /** Given out by this pass and not acknowledged yet, so it still stands there: the next one is looked for behind it. */
  taken: number;
}

/**
 * Knows which of several lanes has the oldest message. Nothing is taken by looking.
 *
 * Messages leave a lane and come behind its end, so what was once its head is never older than what is its head later. With many
 * lanes that bound is remembered, and only a lane that may be the oldest is looked at. It decides the order alone, never whether
 * anything stands there: a message that was given back may be older.
 */
export class LaneHeads {
  readonly #navvy: Navvy;
  #bounds = new Map<string, number>();

  constructor(navvy: Navvy) {
    this.#navvy = navvy;
  }

  /** The server may have lost its last messages and count anew. */
  forget(): void {
    this.#bounds.clear();
  }

  /** One pass over some lanes, oldest message first. */
  async open(lanes: Lane[]): Promise<OldestFirst> {
    const isMany = lanes.length > LOOK_AT_EACH;
    const standing = isMany ? await this.#onWhichAnythingStands(lanes) : lanes;
    const known = new Map<Lane, Head>();
    const look = async (lane: Lane) => {
      const bound = isMany ? this.#bounds.get(this.#keyOf(lane)) : undefined;
      const sequence = bound ?? (await this.find(lane, 0));
      if (sequence !== undefined) known.set(lane, { sequence, isBound: bound !== undefined, taken: 0 });
    };
    await Promise.all(standing.map(look));
    return new OldestFirst(this, known);
  }

  /** The sequence of the oldest message behind another one. */
  async find(lane: Lane, behind: number): Promise<number | undefined> {
    const found = await this.#navvy.queues.messages.head(lane, behind + 1);
    if (found === undefined) this.#bounds.delete(this.#keyOf(lane));
    else this.#bounds.set(this.#keyOf(lane), found);
    return found;
  }

  async #onWhichAnythingStands(lanes: Lane[]): Promise<Lane[]> {
    const names = new Set(lanes.map((lane) => lane.queue));
    const counts = (await Promise.all([...names].map((queue) => this.#navvy.queues.messages.counts(queue)))).flat();
    const standing = new Set(counts.map(({ lane }) => this.#keyOf(lane)));
    return lanes.filter((lane) => standing.has(this.#keyOf(lane)));
  }

  #keyOf(lane: Lane): string {
    return this.#navvy.bus.subjects.lane(lane);
  }
}

/** One pass over the lanes of one class and queue. */
export class OldestFirst {
  readonly #heads: LaneHeads;
  readonly #known: Map<Lane, Head>;

  constructor(heads: LaneHeads, known: Map<Lane, Head>) {
    this.#heads = heads;
    this.#known = known;
  }

  /** The lane, of those that are open, on which the oldest message stands, and whether it is the only one left of them. */
  async next(isOpen: (lane: Lane) => boolean): Promise<{ lane: Lane; isOnly: boolean } | undefined> {
    for (;;) {
      const open = [...this.#known].filter(([lane]) => isOpen(lane));
      const [first] = open.sort(([, a], [, b]) => a.sequence - b.sequence);
      if (first === undefined) return undefined;
      const [lane, head] = first;
      if (!head.isBound) return { lane, isOnly: open.length === 1 };
      const sequence = await this.#heads.find(lane, head.taken);
      if (sequence === undefined) this.#known.delete(lane);
      else this.#known.set(lane, { ...head, sequence, isBound: false });
    }
  }

  /** What was taken from a lane; undefined: it was empty after all. */
  took(lane: Lane, sequence: number | undefined): void {
    if (sequence === undefined) this.#known.delete(lane);
    else this.#known.set(lane, { sequence: sequence + 1, isBound: true, taken: sequence });
  }
}
