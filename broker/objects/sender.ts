import type { PubAck } from "nats";
import { NavvyError } from "../../protocol/index.js";
import type { Bus } from "../bus.js";
import { isLinkLost, type Link, mayPass } from "./link.js";

export const CHUNK_BYTES = 512 * 1024;
/** Chunks in flight: beyond eight nothing is gained, and each costs memory. */
const WINDOW = 8;
/** What the message's headers take of the server's largest payload. */
const HEADER_BYTES = 1024;
/** On a slow line a full window may need this long; a broken connection is noticed at once and does not wait for it. */
const ATTEMPT_MS = 20_000;

interface Chunk {
  /** Its own, to be filled again. */
  buffer: Buffer | undefined;
  bytes: Uint8Array;
  index: number;
  round: number;
  generation: number;
  reply: Promise<PubAck> | undefined;
}

/** Which stream and subject the chunks go to, and what they belong to. */
export interface ChunkTarget {
  stream: string;
  subject: string;
  nuid: string;
}

/**
 * Sends the chunks of one object, several in flight, and keeps each until it is acknowledged.
 *
 * The order in the stream is the order of the content, so after any trouble the oldest chunk goes alone until it is
 * stored, and only then the rest. All keep their message ids: the server drops what it has already and answers with
 * the sequence it stored it under. One that was stored ahead of its predecessor is deleted and sent again.
 */
export class ChunkSender {
  readonly chunkBytes: number;
  readonly #bus: Bus;
  readonly #link: Link;
  readonly #target: ChunkTarget;
  readonly #window: Chunk[] = [];
  readonly #free: Buffer[] = [];
  #limit = WINDOW;
  #count = 0;
  #lastSeq = 0;
  #progressAt = performance.now();
  #hadTrouble = false;

  constructor(bus: Bus, link: Link, target: ChunkTarget) {
    this.#bus = bus;
    this.#link = link;
    this.#target = target;
    this.chunkBytes = Math.min(CHUNK_BYTES, (bus.nc.info?.max_payload ?? CHUNK_BYTES) - HEADER_BYTES);
  }

  /** How many chunks were given to `send`. */
  get count(): number {
    return this.#count;
  }

  /** True when something had to be sent twice: then count what the server holds before relying on it. */
  get hadTrouble(): boolean {
    return this.#hadTrouble;
  }

  /** A buffer to fill, once there is room in the window. */
  async room(): Promise<Buffer> {
    while (this.#window.length >= this.#limit) await this.#settleOldest();
    return this.#free.pop() ?? Buffer.allocUnsafe(this.chunkBytes);
  }

  /** Sends the first `length` bytes of a buffer that came from `room`; it belongs to the sender again. */
  send(buffer: Buffer, length: number): void {
    this.#add(buffer.subarray(0, length), buffer);
  }

  /** Sends bytes that stay as they are until `flush`, once there is room in the window; at most `chunkBytes`. */
  async sendFrom(bytes: Uint8Array): Promise<void> {
    while (this.#window.length >= this.#limit) await this.#settleOldest();
    this.#add(bytes, undefined);
  }

  #add(bytes: Uint8Array, buffer: Buffer | undefined): void {
    if (this.#window.length === 0) this.#progressAt = performance.now();
    const chunk = { buffer, bytes, index: this.#count++, round: 0, generation: -1, reply: undefined };
    this.#window.push(chunk);
    this.#pump();
  }

  /** Waits until every chunk is stored. */
  async flush(): Promise<void> {
    while (this.#window.length > 0) await this.#settleOldest();
  }

  /** Waits until nothing is on its way any more, stored or not: what is removed before that comes back. */
  async abandon(): Promise<void> {
    const underway = this.#window.filter((chunk) => chunk.reply !== undefined);
    await Promise.allSettled(underway.map((chunk) => this.#link.hold(chunk.generation, chunk.reply as Promise<PubAck>)));
  }

  async #settleOldest(): Promise<void> {
    const oldest = this.#window[0];
    if (oldest === undefined) return;
    let seq = await this.#stored(oldest);
    while (seq <= this.#lastSeq) {
      await this.#link.persist(() => this.#bus.jsm.streams.deleteMessage(this.#target.stream, seq, false));
      oldest.round++; // the id of a deleted message still counts as a duplicate
      oldest.reply = undefined;
      seq = await this.#stored(oldest);
    }
    this.#lastSeq = seq;
    this.#window.shift();
    if (oldest.buffer) this.#free.push(oldest.buffer);
    this.#pump();
  }

  async #stored(chunk: Chunk): Promise<number> {
    for (;;) {
      try {
        const ack = await this.#link.hold(chunk.reply ? chunk.generation : this.#link.generation, chunk.reply ?? this.#publish(chunk));
        this.#progressAt = performance.now();
        return ack.seq;
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  /** Sends what waits, unless a chunk before it went out on a connection that is gone: that one must be first. */
  #pump(): void {
    for (const chunk of this.#window) {
      if (chunk.reply === undefined) void this.#publish(chunk);
      else if (chunk.generation !== this.#link.generation) return;
    }
  }

  #publish(chunk: Chunk): Promise<PubAck> {
    const msgID = `${this.#target.nuid}.${chunk.index}.${chunk.round}`;
    const timeout = Math.min(ATTEMPT_MS, this.#link.patienceMs);
    chunk.generation = this.#link.generation;
    chunk.reply = this.#bus.js.publish(this.#target.subject, chunk.bytes, { msgID, timeout });
    chunk.reply.catch(() => undefined); // looked at when its turn comes, or never when the upload failed before
    return chunk.reply;
  }

  async #recover(error: unknown): Promise<void> {
    if (!mayPass(error)) throw error;
    const leftMs = this.#progressAt + this.#link.patienceMs - performance.now();
    if (leftMs <= 0) throw await this.#explainSilence(error);
    this.#hadTrouble = true;
    for (const chunk of this.#window) chunk.reply = undefined;
    if (!isLinkLost(error)) this.#limit = Math.max(1, this.#limit >> 1); // a slow line: fewer at once
    await this.#link.settle(leftMs);
  }

  /** Server 2.15 with a full disk answers everything but a publish; 2.10 says so, 2.9 answers nothing at all. */
  async #explainSilence(cause: unknown): Promise<unknown> {
    const { bus, stream } = { bus: this.#bus, stream: this.#target.stream };
    const isAnswering =
      !isLinkLost(cause) &&
      (await bus.jsm.streams.info(stream).then(
        () => true,
        () => false,
      ));
    if (!isAnswering) return this.#link.gaveUp("upload", cause);
    return new NavvyError("disk_full", `upload: ${bus.source} answers, but has stored nothing for ${this.#link.patienceMs / 1000} s`, {
      cause,
      why: "the disk under its JetStream store is full or fails; its log says which",
      fix: "free disk on the server's machine, restart the server, and try again",
    });
  }
}
