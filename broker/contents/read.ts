import { createHash } from "node:crypto";
import { type ChunkList, corruptContent, digestOf, knownName, listName } from "./chunk-list.js";
import type { Blobs } from "./content-store.js";

/** Chunks under way beside the one that is taken. */
const AHEAD = 2;

/** The content in order; each chunk is verified before it is given on, and the whole at its end. @throws NavvyError corrupt */
export async function* readChunked(blobs: Blobs, list: ChunkList): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash("sha256");
  const ahead: Promise<Uint8Array>[] = [];
  let next = 0;
  let sizeBytes = 0;
  try {
    for (;;) {
      for (; ahead.length <= AHEAD && next < list.chunks.length; next++) ahead.push(unheard(readChunk(blobs, list, next)));
      const bytes = await ahead.shift();
      if (bytes === undefined) break;
      hash.update(bytes);
      sizeBytes += bytes.length;
      yield bytes;
    }
  } finally {
    await Promise.allSettled(ahead);
  }
  if (hash.digest("hex") !== list.sha256 || sizeBytes !== list.sizeBytes) throw corruptContent(list.sha256, "its chunks are not its own");
}

async function readChunk(blobs: Blobs, { sha256, chunks }: ChunkList, at: number): Promise<Uint8Array> {
  const name = chunks[at] as string;
  const bytes = await blobs.get(name);
  if (!bytes) throw corruptContent(sha256, `chunk ${at + 1} of ${chunks.length} (${name}) is not in the store`);
  if ((await digestOf(bytes)) === name) return bytes;
  throw corruptContent(sha256, `chunk ${at + 1} of ${chunks.length} (${name}) was damaged`);
}

/** Names of all that a content in chunks is made of. */
export function* chunkedParts({ sha256, chunks }: ChunkList): Generator<string, void, undefined> {
  yield listName(sha256);
  yield knownName(chunks);
  yield* new Set(chunks);
}

/** A failure is looked at when its turn comes. */
function unheard<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
