import type { KV, KvEntry } from "nats";
import type { z } from "zod";
import { decode, encode, isNavvyError, MAX_RECORD_BYTES, NavvyError } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { isFull, JS_ERROR, jetStreamCode, mayPass, translate } from "./nats-error.js";
import { PATIENCE_MS, persist } from "./persist.js";

/** A value with the revision that the next compare-and-set must name. */
export interface Entry<T> {
  key: string;
  value: T;
  revision: number;
}

/**
 * A key-value bucket of one kind of message, written only by compare-and-set.
 *
 * A write whose answer is lost is read back: the same bytes there mean that it was ours and won.
 */
export class Bucket<S extends z.ZodType> {
  readonly #bus: Bus;
  readonly #schema: S;
  readonly name: string;
  readonly #patienceMs: number;
  #kv: Promise<KV> | undefined;
  readonly #written = new Written<z.infer<S>>();

  /** @param named `patienceMs`: how long an outage is waited out before it is an error; default 10 s */
  constructor(bus: Bus, named: string | { name: string; patienceMs: number }, schema: S) {
    const { name, patienceMs } = typeof named === "string" ? { name: named, patienceMs: PATIENCE_MS } : named;
    this.#bus = bus;
    this.name = name;
    this.#patienceMs = patienceMs;
    this.#schema = schema;
  }

  /** The client's handle; made on first use, so that connecting costs no round trips. */
  async handle(): Promise<KV> {
    try {
      return await this.#open();
    } catch (error) {
      throw translate(error, `open bucket ${this.name}`, this.#bus.source);
    }
  }

  async get(key: string): Promise<Entry<z.infer<S>> | undefined> {
    const entry = await this.ask(`read ${key}`, async () => (await this.#open()).get(key));
    return entry ? this.read(entry) : undefined;
  }

  /** Decodes a client's entry; undefined for a deleted one. */
  read(entry: KvEntry): Entry<z.infer<S>> | undefined {
    if (entry.operation !== "PUT") return undefined;
    return { key: entry.key, revision: entry.revision, value: decode(this.#schema, entry.value, `${this.name}/${entry.key}`) };
  }

  /** @returns the revision, or undefined when the key exists already */
  async create(key: string, value: z.infer<S>): Promise<number | undefined> {
    const bytes = this.#encode(key, value);
    return this.#noted(key, value, await this.#write(key, bytes, async () => (await this.#open()).create(key, bytes)));
  }

  /** @returns the new revision, or undefined when someone else changed the key first */
  async update(key: string, value: z.infer<S>, revision: number): Promise<number | undefined> {
    const bytes = this.#encode(key, value);
    return this.#noted(key, value, await this.#write(key, bytes, async () => (await this.#open()).update(key, bytes, revision)));
  }

  /**
   * Changes a value by compare-and-set until it wins. `change` may throw to refuse, or return undefined to leave it.
   *
   * A value that this client wrote itself a moment ago is tried without reading it again: if it has changed meanwhile, the
   * compare-and-set says so, and a refusal is repeated on what is really there before it counts.
   * @returns the entry as it stands afterwards, undefined when the key does not exist
   */
  async modify(key: string, change: (value: z.infer<S>) => z.infer<S> | undefined): Promise<Entry<z.infer<S>> | undefined> {
    let entry = this.#written.take(key);
    let isGuess = entry !== undefined;
    for (;;) {
      entry ??= await this.get(key);
      if (!entry) return undefined;
      const next = attempt(change, entry.value);
      if ("error" in next || next.value === undefined) {
        if (!isGuess && "error" in next) throw next.error;
        if (!isGuess) return entry;
      } else {
        const revision = await this.update(key, next.value, entry.revision);
        if (revision !== undefined) return { key, value: next.value, revision };
      }
      entry = undefined;
      isGuess = false;
    }
  }

  /** @returns false when the revision is no longer the one named */
  async delete(key: string, revision?: number): Promise<boolean> {
    try {
      await this.ask(`delete ${key}`, async () =>
        (await this.#open()).delete(key, revision === undefined ? {} : { previousSeq: revision }),
      );
      return true;
    } catch (error) {
      if (jetStreamCode((error as Error).cause) === JS_ERROR.wrongLastSequence) return false;
      throw error;
    }
  }

  #noted(key: string, value: z.infer<S>, revision: number | undefined): number | undefined {
    if (revision !== undefined) this.#written.put({ key, value, revision });
    return revision;
  }

  #encode(key: string, value: z.infer<S>): Uint8Array {
    const bytes = encode(value as object);
    if (bytes.length <= MAX_RECORD_BYTES) return bytes;
    throw new NavvyError("too_large", `${this.name}/${key} would be ${bytes.length} bytes, over the limit of ${MAX_RECORD_BYTES}`, {
      fix: "keep large values in a file or an artifact and pass its name",
      detail: { key, bytes: bytes.length },
    });
  }

  async #write(key: string, bytes: Uint8Array, put: () => Promise<number>): Promise<number | undefined> {
    let isRepeat = false;
    try {
      return await this.#persist(async () => {
        try {
          const revision = await put();
          this.#bus.trouble.end("records");
          return revision;
        } catch (error) {
          if (jetStreamCode(error) === JS_ERROR.wrongLastSequence) return isRepeat ? this.#readBack(key, bytes) : undefined;
          isRepeat ||= mayPass(error); // the lost answer may have been a yes
          throw error;
        }
      });
    } catch (error) {
      const failure = translate(error, `write ${this.name}/${key}`, this.#bus.source);
      if (isNavvyError(failure, "disk_full")) this.#bus.trouble.begin("records", failure);
      throw failure;
    }
  }

  async #readBack(key: string, bytes: Uint8Array): Promise<number | undefined> {
    const entry = await this.ask(`read ${key}`, async () => (await this.#open()).get(key));
    return entry && Buffer.compare(entry.value, bytes) === 0 ? entry.revision : undefined;
  }

  async ask<T>(doing: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await this.#persist(ask);
    } catch (error) {
      throw translate(error, `${doing} in ${this.name}`, this.#bus.source);
    }
  }

  /** A store that is full may have room again in a moment: an upload that did not fit is taken away. */
  #persist<T>(ask: () => Promise<T>): Promise<T> {
    return persist(this.#bus, ask, { patienceMs: this.#patienceMs, isPassing: (error) => mayPass(error) || isFull(error) });
  }

  #open(): Promise<KV> {
    this.#kv ??= this.#bus.js.views.kv(this.name, { bindOnly: true }).catch((error: unknown) => {
      this.#kv = undefined;
      throw error;
    });
    return this.#kv;
  }
}

function attempt<T>(change: (value: T) => T | undefined, value: T): { value: T | undefined } | { error: unknown } {
  try {
    return { value: change(value) };
  } catch (error) {
    return { error };
  }
}

const REMEMBERED = 256;
const REMEMBERED_MS = 2_000;

/** The latest writes of this client, each good for one guess. */
class Written<T> {
  readonly #entries = new Map<string, { entry: Entry<T>; at: number }>();

  put(entry: Entry<T>): void {
    this.#entries.delete(entry.key);
    this.#entries.set(entry.key, { entry, at: performance.now() });
    if (this.#entries.size > REMEMBERED) this.#entries.delete(this.#entries.keys().next().value ?? "");
  }

  take(key: string): Entry<T> | undefined {
    const known = this.#entries.get(key);
    this.#entries.delete(key);
    return known && performance.now() - known.at < REMEMBERED_MS ? known.entry : undefined;
  }
}
