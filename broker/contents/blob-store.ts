import { createHash } from "node:crypto";
import { notFound } from "../objects/download.js";
import { translateFile } from "../objects/files.js";
import { fromFile } from "../objects/source.js";
import type { Stored } from "../objects/upload.js";
import type { ObjectInfo } from "../objects.js";
import { CHUNK_BYTES, corruptContent, digestOf, readList } from "./chunk-list.js";
import type { Blobs, ContentStore } from "./content-store.js";
import { putChunked } from "./put.js";
import { chunkedParts, readChunked } from "./read.js";
import { type SteadyFile, whileSteady } from "./steady-file.js";
import { requireSha256, takeBytes, takeToFile } from "./take.js";

/** Content in a store that knows whole pieces only: what fits a chunk is one piece by its own hash, the rest a list of chunks. */
export class BlobStore implements ContentStore {
  readonly #blobs: Blobs;

  constructor(blobs: Blobs) {
    this.#blobs = blobs;
  }

  async putFile(path: string, signal?: AbortSignal): Promise<Stored> {
    try {
      return await whileSteady(path, (file) => this.#put(file, signal), signal);
    } catch (error) {
      throw translateFile(error, path);
    }
  }

  async putBytes(bytes: Uint8Array): Promise<Stored> {
    if (bytes.length <= CHUNK_BYTES) return this.#putWhole(bytes);
    const readAt = async (buffer: Buffer, position: number) => {
      const part = bytes.subarray(position, position + buffer.length);
      buffer.set(part);
      return part.length;
    };
    return putChunked(this.#blobs, { readAt, check: async () => undefined });
  }

  async *get(sha256: string): AsyncGenerator<Uint8Array, void, undefined> {
    const whole = await this.#blobs.get(requireSha256(sha256));
    if (whole) {
      if ((await digestOf(whole)) !== sha256) throw corruptContent(sha256, `it holds ${whole.length} bytes that are not its own`);
      yield whole;
      return;
    }
    const list = await readList(this.#blobs, sha256);
    if (!list) throw notFound(sha256);
    yield* readChunked(this.#blobs, list);
  }

  getToFile(sha256: string, path: string, signal?: AbortSignal): Promise<void> {
    return takeToFile(this, sha256, { path, signal });
  }

  getBytes(sha256: string, options: { maxBytes?: number } = {}): Promise<Uint8Array> {
    return takeBytes(this, sha256, options);
  }

  async has(sha256: string): Promise<boolean> {
    return (await this.info(sha256)) !== undefined;
  }

  async info(sha256: string): Promise<ObjectInfo | undefined> {
    const sizeBytes = await this.#blobs.size(requireSha256(sha256));
    if (sizeBytes !== undefined) return { sha256, sizeBytes, chunks: 1, storedAt: "" };
    const list = await readList(this.#blobs, sha256);
    return list && { sha256, sizeBytes: list.sizeBytes, chunks: list.chunks.length, storedAt: "" };
  }

  async *partsOf(sha256: string): AsyncGenerator<string, void, undefined> {
    const isWhole = (await this.#blobs.size(requireSha256(sha256))) !== undefined;
    const list = isWhole ? undefined : await readList(this.#blobs, sha256);
    if (list) yield* chunkedParts(list);
    else yield sha256;
  }

  async #put({ handle, sizeBytes, check }: SteadyFile, signal: AbortSignal | undefined): Promise<Stored> {
    if (sizeBytes > CHUNK_BYTES) {
      const readAt = (buffer: Buffer, position: number) => {
        signal?.throwIfAborted();
        return fromFile(handle, position)(buffer);
      };
      return putChunked(this.#blobs, { readAt, check });
    }
    const buffer = Buffer.allocUnsafe(sizeBytes);
    const bytes = buffer.subarray(0, await fromFile(handle)(buffer));
    await check();
    return this.#putWhole(bytes);
  }

  async #putWhole(bytes: Uint8Array): Promise<Stored> {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const existed = (await this.#blobs.size(sha256)) !== undefined;
    if (!existed) await this.#blobs.put(sha256, bytes);
    return { sha256, sizeBytes: bytes.length, existed };
  }
}
