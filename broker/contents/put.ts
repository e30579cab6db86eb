import { createHash, type Hash } from "node:crypto";
import { NavvyError } from "../../protocol/index.js";
import type { Stored } from "../objects/upload.js";
import { CHUNK_BYTES, digestOf, encodeList, knownName, listName } from "./chunk-list.js";
import type { Blobs } from "./content-store.js";
import { Digester } from "./digester.js";

/** Chunks in memory at once: one is read while the other is on its way; with a thread beside a third is hashed. */
const AT_ONCE = 2;
/** From this size on a second thread for the hashes is worth its start. */
const THREAD_BYTES = 64 * 1024 * 1024;
/** Looks at what is there already, at once. */
const LOOKS = 32;

/** Fills the buffer from a position of the source; fewer bytes than it holds mean the end. */
export type ReadAt = (buffer: Buffer, position: number) => Promise<number>;

/** What is stored. */
export interface ChunkedSource {
  sizeBytes: number;
  /** Hash in a thread beside where it pays: twice as fast, for 10 MB of memory. */
  hashesBeside?: boolean;
  readAt: ReadAt;
  /** Throws when the source has changed since it was opened. */
  check: () => Promise<void>;
  /** Puts the store's refusals into our words. */
  translate?: (error: unknown) => unknown;
}

/**
 * Stores large content in chunks, of which only those are sent that are not there: what an interrupted upload has sent stays and
 * counts. The list of chunks comes last, so a reader sees all of it or nothing. While every chunk is there the content needs no
 * hash as a whole (`knownName`); it is made up for once one is missing.
 */
export async function putChunked(blobs: Blobs, source: ChunkedSource): Promise<Stored> {
  const put = new ChunkedPut(blobs, source);
  try {
    return await put.run();
  } catch (cause) {
    const error = source.translate?.(cause) ?? cause;
    await put.failed(error);
    throw error;
  } finally {
    await put.close();
  }
}

class ChunkedPut {
  readonly #blobs: Blobs;
  readonly #source: ChunkedSource;
  readonly #chunks: string[] = [];
  readonly #storing = new Map<string, Promise<void>>();
  /** With the revisions that they have by it, where it stored them and the store counts. */
  readonly #sent = new Map<string, number | undefined>();
  readonly #underway = new Set<Promise<void>>();
  readonly #looks = new Set<Promise<void>>();
  /** All so far was there, so most likely the rest is: nobody waits for looks then. */
  #isScanning = false;
  /** Something was not, and has not been sent yet. */
  #isMissing = false;
  readonly #digester: Digester;
  /** Buffers of the digester that can be filled. */
  readonly #free: number[];
  #whole: Hash | undefined;
  #sizeBytes = 0;
  #sentBytes = 0;
  #failure: { error: unknown } | undefined;

  constructor(blobs: Blobs, source: ChunkedSource) {
    this.#blobs = blobs;
    this.#source = source;
    const hasThread = (source.hashesBeside ?? false) && source.sizeBytes >= THREAD_BYTES;
    this.#digester = new Digester({ count: hasThread ? AT_ONCE + 1 : AT_ONCE, bytes: CHUNK_BYTES, hasThread });
    this.#free = [...this.#digester.buffers.keys()];
  }

  async run(): Promise<Stored> {
    for (let at = 0; ; at++) {
      const slot = await this.#room();
      const buffer = this.#digester.buffers[slot] as Buffer;
      const length = await this.#source.readAt(buffer, this.#sizeBytes);
      if (length > 0) await this.#take(slot, at, length);
      if (length < buffer.length) break;
    }
    await this.#settle();
    return (await this.#known()) ?? this.#publish();
  }

  /** What was sent stays for the next try, unless there is no room: then it would only be in the way of all others. */
  async failed(error: unknown): Promise<void> {
    await Promise.allSettled(this.#underway);
    if (!(error instanceof NavvyError) || error.code !== "disk_full") return;
    // None that somebody else has found there meanwhile.
    for (const [name, revision] of this.#sent) if (revision !== undefined) await this.#blobs.delete(name, revision).catch(() => undefined);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#underway, ...this.#looks]);
    await this.#digester.close();
  }

  async #take(slot: number, at: number, length: number): Promise<void> {
    const bytes = (this.#digester.buffers[slot] as Buffer).subarray(0, length);
    const storing = this.#store(slot, bytes, at)
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => {
        this.#underway.delete(storing);
        this.#free.push(slot);
      });
    this.#underway.add(storing);
    if (this.#sentBytes > 0 && !this.#whole) this.#whole = await this.#hashBefore(this.#sizeBytes);
    this.#whole?.update(bytes);
    this.#sizeBytes += length;
  }

  /** As long as there is no hash over the whole to be taken here, this thread takes some of the chunks'. */
  async #store(slot: number, bytes: Uint8Array, at: number): Promise<void> {
    const { length } = bytes;
    const name = await (this.#whole ? this.#digester.digestBeside(slot, length) : this.#digester.digest(slot, length));
    this.#chunks[at] = name;
    if (this.#isScanning) return this.#lookLater(name);
    const storing = this.#storing.get(name) ?? this.#storeNew(name, bytes);
    this.#storing.set(name, storing);
    await storing;
  }

  async #storeNew(name: string, bytes: Uint8Array): Promise<void> {
    const isThere = await this.#has(name);
    if (isThere) this.#isScanning ||= this.#sentBytes === 0;
    else {
      this.#isScanning = false;
      await this.#send(name, bytes);
    }
  }

  /** The buffer is free meanwhile: should it not be there, it is read once more at the end. */
  async #lookLater(name: string): Promise<void> {
    while (this.#looks.size >= LOOKS) await Promise.race(this.#looks);
    const look = this.#has(name)
      .then((isThere) => {
        if (isThere) return;
        this.#isScanning = false;
        this.#isMissing = true;
      })
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => this.#looks.delete(look));
    this.#looks.add(look);
  }

  async #has(name: string): Promise<boolean> {
    return this.#blobs.claim(name);
  }

  async #send(name: string, bytes: Uint8Array): Promise<void> {
    this.#sentBytes += bytes.length;
    this.#sent.set(name, undefined);
    this.#sent.set(name, await this.#blobs.put(name, bytes));
  }

  async #room(): Promise<number> {
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      const slot = this.#free.pop();
      if (slot !== undefined) return slot;
      await Promise.race(this.#underway);
    }
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#underway);
    await Promise.all(this.#looks);
    if (this.#failure) throw this.#failure.error;
    await this.#source.check();
  }

  /** All chunks are there: then most likely the content is too. */
  async #known(): Promise<Stored | undefined> {
    if (this.#sentBytes > 0 || this.#isMissing) return undefined;
    const name = knownName(this.#chunks);
    const known = (await this.#has(name)) ? await this.#blobs.get(name) : undefined;
    const sha256 = known && Buffer.from(known).toString("latin1");
    if (sha256 === undefined || !(await this.#has(listName(sha256)))) return undefined;
    return { sha256, sizeBytes: this.#sizeBytes, existed: true, sentBytes: 0 };
  }

  async #publish(): Promise<Stored> {
    const whole = this.#whole ?? (await this.#hashBefore(this.#sizeBytes));
    const sha256 = whole.digest("hex");
    await this.#lookAgain();
    await this.#source.check();
    const [chunks, sizeBytes] = [this.#chunks, this.#sizeBytes];
    const existed = await this.#has(listName(sha256));
    await this.#blobs.put(listName(sha256), encodeList({ sha256, sizeBytes, chunkBytes: CHUNK_BYTES, chunks }));
    await this.#blobs.put(knownName(chunks), Buffer.from(sha256, "latin1"));
    return { sha256, sizeBytes, existed, sentBytes: this.#sentBytes };
  }

  /** What was found there may have been removed meanwhile: by an upload that failed, by whoever makes room. */
  async #lookAgain(): Promise<void> {
    const found = [...this.#chunks.entries()].filter(([, name]) => !this.#sent.has(name));
    for (let i = 0; i < found.length; i += LOOKS) {
      await Promise.all(
        found.slice(i, i + LOOKS).map(async ([at, name]) => {
          if (!(await this.#has(name))) await this.#send(name, await this.#again(at, name));
        }),
      );
    }
  }

  async #again(at: number, name: string): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, this.#sizeBytes - at * CHUNK_BYTES));
    const bytes = buffer.subarray(0, await this.#source.readAt(buffer, at * CHUNK_BYTES));
    if (digestOf(bytes) !== name) throw changed();
    return bytes;
  }

  /** The hash of what comes before a position, which is read once more; it must still be what its chunks were. */
  async #hashBefore(end: number): Promise<Hash> {
    await Promise.all(this.#underway);
    if (this.#failure) throw this.#failure.error;
    const hash = createHash("sha256");
    for (let at = 0; at * CHUNK_BYTES < end; at++) hash.update(await this.#again(at, this.#chunks[at] ?? ""));
    return hash;
  }
}

/** The source is not what it was a moment ago. */
export function changed(what = "it"): NavvyError {
  return new NavvyError("conflict", `${what} changed while it was read`, {
    fix: "write it elsewhere and move it to its place when it is whole",
  });
}
