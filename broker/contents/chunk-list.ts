import { createHash, webcrypto } from "node:crypto";
import { z } from "zod";
import { NavvyError } from "../../protocol/index.js";
import type { Blobs } from "./content-store.js";

/**
 * The size of a chunk. Fixed, not found by content: what tasks leave again and again (checkpoints of one layout, files that are
 * appended to) keeps its places, and a rolling hash in this language would be slower than the network.
 */
export const CHUNK_BYTES = 4 * 1024 * 1024;
/** Larger files are stored in chunks. */
export const WHOLE_BYTES = 4 * CHUNK_BYTES;

/** The list of a content's chunks: the object `<sha256 of the content>.chunks`. */
const ChunkList = z.object({
  type: z.literal("navvy.chunks.v1"),
  /** Of the content. */
  sha256: z.string(),
  sizeBytes: z.number().int().nonnegative(),
  /** Of each chunk but the last. */
  chunkBytes: z.number().int().positive(),
  /** Each is an object by its sha256. */
  chunks: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
});
export type ChunkList = z.infer<typeof ChunkList>;

export const listName = (sha256: string) => `${sha256}.chunks`;

/**
 * The object by which content is known from its chunks alone: named by the sha256 of their names, it holds the content's sha256.
 * So what is there already is recognised without a hash over the whole.
 */
export function knownName(chunks: readonly string[]): string {
  return `${createHash("sha256").update(chunks.join("\n")).digest("hex")}.known`;
}

/** Undefined when the content is not there in chunks. @throws NavvyError corrupt */
export async function readList(blobs: Blobs, sha256: string): Promise<ChunkList | undefined> {
  const bytes = await blobs.get(listName(sha256));
  if (!bytes) return undefined;
  try {
    const list = ChunkList.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
    const expected = Math.ceil(list.sizeBytes / list.chunkBytes);
    if (list.sha256 !== sha256 || list.chunks.length !== expected) throw new Error("it does not belong to this content");
    return list;
  } catch (cause) {
    throw corruptContent(sha256, `the list of its chunks can not be read: ${(cause as Error).message}`, cause);
  }
}

export function encodeList(list: Omit<ChunkList, "type">): Uint8Array {
  return Buffer.from(JSON.stringify({ type: "navvy.chunks.v1", ...list }));
}

/** Of a whole buffer, beside the event loop. */
export async function digestOf(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest("SHA-256", bytes)).toString("hex");
}

export function corruptContent(sha256: string, why: string, cause?: unknown): NavvyError {
  return new NavvyError("corrupt", `content ${sha256} does not match its checksum`, {
    cause,
    why,
    fix: "produce it again: the stored copy is of no use",
    detail: { sha256 },
  });
}
