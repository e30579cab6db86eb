import { headers, JsHeaders } from "nats";
import type { Bus } from "../bus.js";
import { JS_ERROR, jetStreamCode } from "../nats-error.js";
import { decodeMeta, encodeMeta, type Layout, type Meta } from "./layout.js";
import type { Link } from "./link.js";
import { CHUNK_BYTES } from "./sender.js";

/** The meta messages of a bucket: what is visible, changed only by compare-and-set on the message's sequence. */
export class Metas {
  readonly #bus: Bus;
  readonly #link: Link;
  readonly #layout: Layout;

  constructor(bus: Bus, link: Link, layout: Layout) {
    this.#bus = bus;
    this.#link = link;
    this.#layout = layout;
  }

  /** Asked of the stream's leader, never of a replica that may lag: also deleted ones, for their revision. */
  async read(name: string): Promise<Meta | undefined> {
    try {
      const query = { last_by_subj: this.#layout.meta(name) };
      const message = await this.#link.persist(() => this.#bus.jsm.streams.getMessage(this.#layout.stream, query));
      return decodeMeta(message.data, message.seq);
    } catch (error) {
      if (jetStreamCode(error) === JS_ERROR.messageNotFound) return undefined;
      throw error;
    }
  }

  /**
   * Makes the object visible, or finds that someone else has.
   * @param isNew most likely there is none: tried before it is looked for
   * @returns its revision; undefined when it is another's: then the chunks that the meta points at are not needed
   */
  async publish(meta: Omit<Meta, "revision">, chunkBytes: number, { isNew = false } = {}): Promise<number | undefined> {
    const first = isNew ? await this.#replace(meta, chunkBytes, 0) : undefined;
    if (first !== undefined) return first;
    for (;;) {
      const current = await this.read(meta.name);
      if (current?.nuid === meta.nuid && !current.isDeleted) return current.revision;
      if (current && !current.isDeleted) {
        if (await this.#renew(current)) return undefined;
        continue;
      }
      const revision = await this.#replace(meta, chunkBytes, current?.revision ?? 0);
      if (revision !== undefined) return revision;
    }
  }

  /**
   * Whether the object is there, for someone who is about to refer to it. It is written anew: who is collecting garbage right now, or
   * gives an upload up that made it, sees that somebody wants it.
   */
  async claim(name: string): Promise<boolean> {
    for (;;) {
      const current = await this.read(name);
      if (!current || current.isDeleted) return false;
      if (await this.#renew(current)) return true;
    }
  }

  /**
   * @param revision only while it is at that one
   * @returns the deleted object, or undefined when there was none
   */
  async delete(name: string, revision?: number): Promise<Meta | undefined> {
    for (;;) {
      const current = await this.read(name);
      if (!current || current.isDeleted || (revision !== undefined && current.revision !== revision)) return undefined;
      const tombstone = { ...current, isDeleted: true, storedAt: new Date().toISOString() };
      if ((await this.#replace(tombstone, 0, current.revision)) !== undefined) return current;
    }
  }

  /** Takes a deleted object's last trace out of the stream; loses quietly to whoever stored it anew. */
  async forget(name: string): Promise<void> {
    const current = await this.read(name);
    if (!current?.isDeleted) return;
    await this.#bus.jsm.streams.deleteMessage(this.#layout.stream, current.revision, false).catch(() => undefined);
  }

  /** False when it was changed meanwhile. */
  async #renew(current: Meta): Promise<boolean> {
    return (await this.#replace(current, CHUNK_BYTES, current.revision)) !== undefined;
  }

  /** @returns the new revision; undefined when it has moved on, also by an own try whose answer was lost: the caller reads again */
  async #replace(meta: Omit<Meta, "revision">, chunkBytes: number, revision: number): Promise<number | undefined> {
    const rollup = headers();
    rollup.set(JsHeaders.RollupHdr, JsHeaders.RollupValueSubject);
    const text = encodeMeta(this.#layout.bucket, meta, chunkBytes);
    const expect = { lastSubjectSequence: revision };
    try {
      return (await this.#link.persist(() => this.#bus.js.publish(this.#layout.meta(meta.name), text, { headers: rollup, expect }))).seq;
    } catch (error) {
      if (jetStreamCode(error) === JS_ERROR.wrongLastSequence) return undefined;
      throw error;
    }
  }
}
