import { createHash } from "node:crypto";
import type { Bus } from "./bus.js";
import { type ChunkList, listName, readList, WHOLE_BYTES } from "./contents/chunk-list.js";
import type { ContentStore } from "./contents/content-store.js";
import { putChunked } from "./contents/put.js";
import { chunkedParts, readChunked } from "./contents/read.js";
import { type SteadyFile, whileSteady } from "./contents/steady-file.js";
import { requireSha256, takeBytes, takeToFile } from "./contents/take.js";
import { ObjectBlobs } from "./objects/blobs.js";
import { Cooling } from "./objects/cooling.js";
import { download, notFound } from "./objects/download.js";
import { translateFile } from "./objects/files.js";
import { Layout, type Meta } from "./objects/layout.js";
import { Link } from "./objects/link.js";
import { Metas } from "./objects/metas.js";
import { translateRefusal } from "./objects/refusals.js";
import { cutBy, type Fill, fromBytes, fromFile, fromStream } from "./objects/source.js";
import { type Store, type Stored, type UploadSource, upload } from "./objects/upload.js";

export type { Stored } from "./objects/upload.js";

const HASH_STEP_BYTES = 1024 * 1024;
const PATIENCE_MS = 60_000;

/** What the store says about an object without reading it. */
export interface ObjectInfo {
  sha256: string;
  sizeBytes: number;
  chunks: number;
  /** RFC 3339. */
  storedAt: string;
}

/**
 * Artifacts, code bundles and finished logs: content by its sha256, in NATS's own object-store layout (the `nats`
 * command line reads it), without the client's object store, which is ten times slower and holds it all in memory.
 *
 * Files of more than 16 MiB are stored in chunks, each an object of its own, so that only what is not there is sent; smaller ones
 * are one object. Memory stays flat whatever the size. A server restart in the middle is survived: what was not acknowledged is sent
 * again, a download goes on behind the last chunk. `patienceMs` (60 s) without any answer ends it.
 */
export class Objects implements ContentStore {
  readonly #store: Store;
  readonly #blobs: ObjectBlobs;
  readonly #cooling: Cooling;
  readonly #hashesBeside: boolean;

  /** `hashesBeside` (true): a thread helps while large files are put; it costs 10 MB as long. */
  constructor(bus: Bus, options: { patienceMs?: number; hashesBeside?: boolean } = {}) {
    this.#hashesBeside = options.hashesBeside ?? true;
    const link = new Link(bus.nc, options.patienceMs ?? PATIENCE_MS);
    const layout = new Layout(bus.assets.objects.name);
    this.#cooling = new Cooling(bus.trouble);
    this.#store = { bus, link, layout, metas: new Metas(bus, link, layout) };
    this.#blobs = new ObjectBlobs(this.#store);
  }

  /**
   * A file that changes meanwhile is tried again, a few times.
   * @throws NavvyError not_found (no such file), conflict (it went on changing), disk_full (the server's), timeout, nats_unreachable
   */
  async putFile(path: string, signal?: AbortSignal): Promise<Stored> {
    const put = (file: SteadyFile) =>
      file.sizeBytes > WHOLE_BYTES ? this.#putLarge(path, file, signal) : this.#putSmall(path, file, signal);
    try {
      return await whileSteady(path, put, signal);
    } catch (error) {
      throw translateFile(error, path);
    }
  }

  async putBytes(bytes: Uint8Array): Promise<Stored> {
    const known = await this.#alreadyThere(fromBytes(bytes));
    return known ?? this.#upload(`upload ${bytes.length} bytes`, { open: () => fromBytes(bytes), canReopen: true });
  }

  /** Reads the stream once, no faster than the server takes it. */
  async putStream(stream: AsyncIterable<Uint8Array | string>): Promise<Stored> {
    const iterator = stream[Symbol.asyncIterator]();
    try {
      return await this.#upload("upload a stream", { open: () => fromStream(iterator), canReopen: false });
    } finally {
      await iterator.return?.(); // one that failed has not read it to its end
    }
  }

  /**
   * The content in order, as fast as it is taken. Verified as a whole: an error can come after the last byte.
   * @throws NavvyError not_found, corrupt, timeout, nats_unreachable
   */
  async *get(sha256: string): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      const { meta, list } = await this.#look(sha256);
      if (meta) yield* download(this.#store, meta);
      else if (list) yield* readChunked(this.#blobs, list);
      else throw notFound(sha256);
    } catch (error) {
      throw this.#translate(error, `read object ${sha256}`);
    }
  }

  /** The file appears under its name only when it is whole and verified; what was there is replaced. */
  getToFile(sha256: string, path: string, signal?: AbortSignal): Promise<void> {
    return takeToFile(this, sha256, { path, signal });
  }

  /**
   * Small objects only: all of it in memory, at most `maxBytes` (default 16 MiB).
   * @throws NavvyError too_large, not_found, corrupt
   */
  getBytes(sha256: string, options: { maxBytes?: number } = {}): Promise<Uint8Array> {
    return takeBytes(this, sha256, options);
  }

  async has(sha256: string): Promise<boolean> {
    return (await this.info(sha256)) !== undefined;
  }

  /** Undefined when there is no such object. */
  async info(sha256: string): Promise<ObjectInfo | undefined> {
    const { meta, list, listedAt } = await this.#look(sha256);
    if (meta) return { sha256, sizeBytes: meta.sizeBytes, chunks: meta.chunks, storedAt: meta.storedAt };
    return list && { sha256, sizeBytes: list.sizeBytes, chunks: list.chunks.length, storedAt: listedAt ?? "" };
  }

  /** Names of the objects that the content is made of. */
  async *partsOf(sha256: string): AsyncGenerator<string, void, undefined> {
    const { list } = await this.#look(sha256);
    if (list) yield* chunkedParts(list);
    else yield sha256;
  }

  /**
   * Of content in chunks its list: the chunks may be others' too. A chunk or a list goes by its own name.
   * False when there was nothing to delete. A reader in the middle of it gets `not_found`.
   * @param revision of its meta message: only while nobody stored the same content again
   */
  async delete(name: string, revision?: number): Promise<boolean> {
    const sha256 = requireSha256(name.replace(/\.(chunks|known)$/, ""));
    try {
      const isGone = await this.#blobs.delete(name, revision);
      if (revision !== undefined) return isGone;
      return isGone || (name === sha256 && (await this.#blobs.delete(`${name}.chunks`)));
    } catch (error) {
      throw this.#translate(error, `delete object ${name}`);
    }
  }

  /** Read twice, to send nothing when it is there. */
  async #putSmall(path: string, { handle, check }: SteadyFile, signal: AbortSignal | undefined): Promise<Stored> {
    const open = () => (signal ? cutBy(signal, fromFile(handle)) : fromFile(handle));
    const known = await this.#alreadyThere(open());
    await check();
    return known ?? this.#upload(`upload ${path}`, { open, canReopen: true, check });
  }

  #putLarge(path: string, { handle, sizeBytes, check }: SteadyFile, signal: AbortSignal | undefined): Promise<Stored> {
    const readAt = (buffer: Buffer, position: number) => {
      signal?.throwIfAborted();
      return fromFile(handle, position)(buffer);
    };
    return this.#cooled(`upload ${path}`, () =>
      putChunked(this.#blobs, {
        sizeBytes,
        hashesBeside: this.#hashesBeside,
        readAt,
        check,
        translate: (error) => this.#translate(error, `upload ${path}`),
      }),
    );
  }

  async #alreadyThere(fill: Fill): Promise<Stored | undefined> {
    const { sha256, sizeBytes } = await hashAll(fill);
    return (await this.#claim(sha256)) ? { sha256, sizeBytes, existed: true } : undefined;
  }

  #upload(doing: string, source: UploadSource): Promise<Stored> {
    return this.#cooled(doing, () => upload(this.#store, source));
  }

  #cooled(doing: string, act: () => Promise<Stored>): Promise<Stored> {
    return this.#cooling.upload(() =>
      act().catch((error: unknown) => {
        throw this.#translate(error, doing);
      }),
    );
  }

  async #claim(sha256: string): Promise<boolean> {
    try {
      return await this.#blobs.claim(sha256);
    } catch (error) {
      throw this.#translate(error, `look up object ${sha256}`);
    }
  }

  async #look(sha256: string): Promise<{ meta?: Meta; list?: ChunkList; listedAt?: string }> {
    requireSha256(sha256);
    try {
      const meta = await this.#blobs.read(sha256);
      if (meta) return { meta };
      const listed = await this.#blobs.read(listName(sha256));
      const list = listed && (await readList(this.#blobs, sha256));
      return list ? { list, listedAt: listed.storedAt } : {};
    } catch (error) {
      throw this.#translate(error, `look up object ${sha256}`);
    }
  }

  #translate(error: unknown, doing: string): unknown {
    return translateRefusal(error, { doing, source: this.#store.bus.source });
  }
}

async function hashAll(fill: Fill): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(HASH_STEP_BYTES);
  let sizeBytes = 0;
  for (;;) {
    const length = await fill(buffer);
    hash.update(buffer.subarray(0, length));
    sizeBytes += length;
    if (length < buffer.length) return { sha256: hash.digest("hex"), sizeBytes };
  }
}
