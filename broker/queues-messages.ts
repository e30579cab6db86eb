import type { ConsumerInfo, JetStreamManager } from "nats";
import { CLASSES, type Lane } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { isNats, JS_ERROR, jetStreamCode, translate } from "./nats-error.js";

/** A message as it stands on its lane; nothing is taken by reading it. */
export interface QueueMessage {
  sequence: number;
  storedAt: Date;
  data: Uint8Array;
}

/** Ghosts deleted or told in one go. */
const MAX_GHOSTS = 1_000;

/** What stands on the lanes, read past the consumers. */
export class QueueMessages {
  readonly #bus: Bus;
  readonly #info: (lane: Lane) => Promise<ConsumerInfo | undefined>;

  constructor(bus: Bus, info: (lane: Lane) => Promise<ConsumerInfo | undefined>) {
    this.#bus = bus;
    this.#info = info;
  }

  /** Every lane on which messages stand, of one queue or of all, with their number; also lanes that no queue names. */
  async counts(queue?: string): Promise<{ lane: Lane; count: number }[]> {
    const { jsm, subjects, source } = this.#bus;
    const filter = queue === undefined ? ">" : subjects.queue(queue);
    try {
      const { state } = await jsm.streams.info(this.#stream, { subjects_filter: filter });
      return Object.entries(state.subjects ?? {}).flatMap(([subject, count]) => {
        const [, queue = "", name, shape = ""] = subjects.parse(subject) ?? [];
        const known = CLASSES.find((each) => each === name);
        return known ? [{ lane: { queue, class: known, shape }, count }] : [];
      });
    } catch (error) {
      throw translate(error, `look at stream ${this.#stream}`, source);
    }
  }

  /** A lane's messages in order, `from` and `upTo` being sequences of the stream. */
  async *read(lane: Lane, options: { from?: number; upTo?: number } = {}): AsyncGenerator<QueueMessage> {
    const { from = 1, upTo = Number.POSITIVE_INFINITY } = options;
    for (let next = from; next <= upTo; ) {
      const message = await this.#at(lane, next);
      if (!message || message.sequence > upTo) return;
      yield message;
      next = message.sequence + 1;
    }
  }

  /** The sequence of the oldest message that stands on a lane, also one that was given out and is not acknowledged yet. */
  async head(lane: Lane, from = 1): Promise<number | undefined> {
    return (await this.#at(lane, from))?.sequence;
  }

  /** The oldest message that still waits on a lane; undefined when the lane is drained. */
  async oldest(lane: Lane): Promise<QueueMessage | undefined> {
    const info = await this.#info(lane);
    if (!info || info.num_pending + info.num_ack_pending === 0) return undefined;
    return this.#at(lane, info.ack_floor.stream_seq + 1);
  }

  /**
   * Sequences of messages that nobody will ever be given: they stand at or below what their consumer has acknowledged.
   * Servers before 2.10 bring acknowledged messages back like this when they are killed.
   */
  async ghosts(lane: Lane): Promise<number[]> {
    const info = await this.#info(lane);
    if (!info || info.num_ack_pending > 0) return [];
    const found: number[] = [];
    for await (const { sequence } of this.read(lane, { upTo: info.ack_floor.stream_seq })) {
      found.push(sequence);
      if (found.length === MAX_GHOSTS) break;
    }
    return found;
  }

  /**
   * Deletes one message. By sequence and without erasing: a purge by subject strands what stands behind it (2.9), and erasing
   * takes 20 times as long. @returns false when it was gone already
   */
  async delete(sequence: number): Promise<boolean> {
    try {
      return await this.#bus.jsm.streams.deleteMessage(this.#stream, sequence, false);
    } catch (error) {
      if (GONE.has(jetStreamCode(error))) return false;
      throw translate(error, `delete message ${sequence} of ${this.#stream}`, this.#bus.source);
    }
  }

  async #at(lane: Lane, sequence: number): Promise<QueueMessage | undefined> {
    try {
      const query = { seq: sequence, next_by_subj: this.#bus.subjects.lane(lane) };
      const message = await direct(this.#bus.jsm).getMessage(this.#stream, query);
      return { sequence: message.seq, storedAt: message.time, data: message.data };
    } catch (error) {
      if (jetStreamCode(error) === JS_ERROR.messageNotFound || isNats(error, "404")) return undefined;
      throw translate(error, `look at queue ${lane.queue}`, this.#bus.source);
    }
  }

  get #stream(): string {
    return this.#bus.assets.streams.queue.name;
  }
}

/** The direct reads of the client, which its published types leave out of the manager. */
function direct(jsm: JetStreamManager) {
  return (
    jsm as unknown as {
      direct: {
        getMessage(stream: string, query: { seq: number; next_by_subj: string }): Promise<{ time: Date; seq: number; data: Uint8Array }>;
      };
    }
  ).direct;
}

/** What servers say of a message that is not there: not found, sequence not found, delete failed. */
const GONE = new Set<number | undefined>([JS_ERROR.messageNotFound, 10_043, 10_057]);
