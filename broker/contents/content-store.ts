import type { Stored } from "../objects/upload.js";
import type { ObjectInfo } from "../objects.js";

/** Content by its sha256, wherever it lies: every read is verified, every write is there once. */
export interface ContentStore {
  /** @throws NavvyError not_found, conflict (it does not stop changing), disk_full, and what the store says */
  putFile(path: string, signal?: AbortSignal): Promise<Stored>;
  putBytes(bytes: Uint8Array): Promise<Stored>;
  /** The content in order. An error can come after the last byte. @throws NavvyError not_found, corrupt */
  get(sha256: string): AsyncGenerator<Uint8Array, void, undefined>;
  /** The file appears under its name only when it is whole and verified. */
  getToFile(sha256: string, path: string, signal?: AbortSignal): Promise<void>;
  /** Small content only. @throws NavvyError too_large, not_found, corrupt */
  getBytes(sha256: string, options?: { maxBytes?: number }): Promise<Uint8Array>;
  has(sha256: string): Promise<boolean>;
  /** Undefined when it is not there. */
  info(sha256: string): Promise<ObjectInfo | undefined>;
  /** Names of all that the content is made of in its store, for those who look what is still needed. */
  partsOf(sha256: string): AsyncGenerator<string, void, undefined>;
}

/**
 * What large content is made of, as its store keeps it: pieces of at most a few MiB under a name, written once. `get` may give
 * bytes that were damaged: whoever reads knows what they must be.
 */
export interface Blobs {
  /** Bytes; undefined when it is not there. */
  size(name: string): Promise<number | undefined>;
  /** Whether it is there, for someone who is about to refer to it: whoever collects garbage meanwhile leaves it alone. */
  claim(name: string): Promise<boolean>;
  /** Whole or not at all; nothing happens when it is there. @returns its revision; undefined: it was there, or the store has none */
  put(name: string, bytes: Uint8Array): Promise<number | undefined>;
  /** Undefined when it is not there. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** @param revision only while it is at that one: nobody else has asked for it since */
  delete(name: string, revision?: number): Promise<boolean>;
}
