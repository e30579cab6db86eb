import { createHash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { nuid } from "nats";
import { NavvyError } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { Cooling } from "./objects/cooling.js";
import { discard } from "./objects/discard.js";
import { download, notFound } from "./objects/download.js";
import { openFile, translateFile } from "./objects/files.js";
import { Layout, type Meta } from "./objects/layout.js";
import { Link } from "./objects/link.js";
import { Metas } from "./objects/metas.js";
import { translateRefusal } from "./objects/refusals.js";
import { cutBy, type Fill, fromBytes, fromFile, fromStream } from "./objects/source.js";
import { type Store, type Stored, type UploadSource, upload } from "./objects/upload.js";

export type { Stored } from "./objects/upload.js";

const MIB = 1024 * 1024;
/** Files up to this size are read twice, to send nothing when the content is there; larger ones are read once. */
const HASH_FIRST_BYTES = 64 * MIB;
const HASH_STEP_BYTES = MIB;
const GET_BYTES_DEFAULT = 16 * MIB;
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
 * Memory stays flat whatever the size. A server restart in the middle is survived: what was not acknowledged is sent
 * again, a download goes on behind the last chunk. `patienceMs` (60 s) without any answer ends it.
 */
export class Objects {
  readonly #store: Store;
  readonly #cooling: Cooling;

  constructor(bus: Bus, options: { patienceMs?: number } = {}) {
    const link = new Link(bus.nc, options.patienceMs ?? PATIENCE_MS);
    const layout = new Layout(bus.assets.objects.name);
    this.#cooling = new Cooling(bus.trouble);
    this.#store = { bus, link, layout, metas: new Metas(bus, link, layout) };
  }

  /** @throws NavvyError not_found (no such file), disk_full (the server's), timeout, nats_unreachable */
  async putFile(path: string, signal?: AbortSignal): Promise<Stored> {
    const { handle, sizeBytes } = await openFile(path);
    try {
      const fill = () => (signal ? cutBy(signal, fromFile(handle)) : fromFile(handle));
      const known = sizeBytes <= HASH_FIRST_BYTES ? await this.#alreadyThere(fill()) : undefined;
      return known ?? (await this.#upload(`upload ${path}`, { open: fill, canReopen: true }));
    } catch (error) {
      throw translateFile(error, path);
    } finally {
      await handle.close();
    }
  }

  async putBytes(bytes: Uint8Array): Promise<Stored> {
    const known = await this.#alreadyThere(fromBytes(bytes));
    return known ?? this.#upload(`upload ${bytes.length} bytes`, { open: () => fromBytes(bytes), canReopen: true });
  }

  /** Reads the stream once, no faster than the server takes it. */
  putStream(stream: AsyncIterable<Uint8Array | string>): Promise<Stored> {
    return this.#upload("upload a stream", { open: () => fromStream(stream), canReopen: false });
  }

  /**
   * The content in order, as fast as it is taken. Verified as a whole: an error can come after the last byte.
   * @throws NavvyError not_found, corrupt, timeout, nats_unreachable
   */
  async *get(sha256: string): AsyncGenerator<Uint8Array, void, undefined> {
    const meta = await this.#existing(sha256);
    try {
      yield* download(this.#store, meta);
    } catch (error) {
      throw this.#translate(error, `read object ${sha256}`);
    }
  }

  /** The file appears under its name only when it is whole and verified; what was there is replaced. */
  async getToFile(sha256: string, path: string, signal?: AbortSignal): Promise<void> {
    const part = `${path}.${nuid.next()}.part`;
    try {
      const handle = await open(part, "wx");
      try {
        for await (const bytes of this.get(sha256)) {
          signal?.throwIfAborted();
          await writeAll(handle, bytes);
        }
      } finally {
        await handle.close();
      }
      await rename(part, path);
    } catch (error) {
      await rm(part, { force: true });
      throw translateFile(error, path);
    }
  }

  /**
   * Small objects only: all of it in memory, at most `maxBytes` (default 16 MiB).
   * @throws NavvyError too_large, not_found, corrupt
   */
  async getBytes(sha256: string, options: { maxBytes?: number } = {}): Promise<Uint8Array> {
    const maxBytes = options.maxBytes ?? GET_BYTES_DEFAULT;
    const { sizeBytes } = await this.#existing(sha256);
    if (sizeBytes > maxBytes) {
      throw new NavvyError("too_large", `object ${sha256} is ${sizeBytes} bytes, over the limit of ${maxBytes}`, {
        detail: { sizeBytes, maxBytes },
      });
    }
    const parts: Uint8Array[] = [];
    for await (const bytes of this.get(sha256)) parts.push(bytes);
    return Buffer.concat(parts);
  }

  async has(sha256: string): Promise<boolean> {
    return (await this.info(sha256)) !== undefined;
  }

  /** Undefined when there is no such object. */
  async info(sha256: string): Promise<ObjectInfo | undefined> {
    const meta = await this.#read(sha256);
    if (!meta) return undefined;
    return { sha256, sizeBytes: meta.sizeBytes, chunks: meta.chunks, storedAt: meta.storedAt };
  }

  /**
   * False when there was nothing to delete. A reader in the middle of it gets `not_found`.
   * @param revision of its meta message: only while nobody stored the same content again
   */
  async delete(sha256: string, revision?: number): Promise<boolean> {
    const { layout, metas } = this.#store;
    try {
      const gone = await metas.delete(requireSha256(sha256), revision);
      if (!gone) return false;
      await discard(this.#store, layout.chunks(gone.nuid));
      await metas.forget(sha256);
      return true;
    } catch (error) {
      throw this.#translate(error, `delete object ${sha256}`);
    }
  }

  async #alreadyThere(fill: Fill): Promise<Stored | undefined> {
    const { sha256, sizeBytes } = await hashAll(fill);
    return (await this.#claim(sha256)) ? { sha256, sizeBytes, existed: true } : undefined;
  }

  #upload(doing: string, source: UploadSource): Promise<Stored> {
    return this.#cooling.upload(() =>
      upload(this.#store, source).catch((error: unknown) => {
        throw this.#translate(error, doing);
      }),
    );
  }

  async #existing(sha256: string): Promise<Meta> {
    const meta = await this.#read(sha256);
    if (!meta) throw notFound(sha256);
    return meta;
  }

  async #claim(sha256: string): Promise<boolean> {
    try {
      return await this.#store.metas.claim(sha256);
    } catch (error) {
      throw this.#translate(error, `look up object ${sha256}`);
    }
  }

  async #read(sha256: string): Promise<Meta | undefined> {
    try {
      const meta = await this.#store.metas.read(requireSha256(sha256));
      return meta?.isDeleted ? undefined : meta;
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

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) written += (await handle.write(bytes, written)).bytesWritten;
}

function requireSha256(sha256: string): string {
  if (/^[0-9a-f]{64}$/.test(sha256)) return sha256;
  throw new NavvyError("invalid_argument", `${JSON.stringify(sha256)} is not a sha256`, {
    why: "expected 64 hexadecimal digits in lower case",
  });
}
