import { z } from "zod";
import { NavvyError } from "../../protocol/index.js";

/**
 * The object store's layout on the wire (NATS architecture decision record 20), so that the `nats` command line and the
 * official clients read what we write and the reverse: chunks under `$O.<bucket>.C.<nuid>` in order, then one meta
 * message under `$O.<bucket>.M.<name in base64url>`, which alone makes the object visible.
 */
export class Layout {
  readonly bucket: string;
  readonly stream: string;

  constructor(bucket: string) {
    this.bucket = bucket;
    this.stream = `OBJ_${bucket}`;
  }

  chunks(nuid: string): string {
    return `$O.${this.bucket}.C.${nuid}`;
  }

  meta(name: string): string {
    return `$O.${this.bucket}.M.${Buffer.from(name).toString("base64").replaceAll("+", "-").replaceAll("/", "_")}`;
  }
}

const DIGEST_PREFIX = "SHA-256=";

/** What a meta message says; other writers' extra fields are let be. */
const MetaMessage = z.object({
  name: z.string(),
  nuid: z.string(),
  size: z.number().int().nonnegative(),
  chunks: z.number().int().nonnegative(),
  digest: z.string().optional(),
  mtime: z.string().optional(),
  deleted: z.boolean().optional(),
});

/** One object as the store knows it. `revision` is the sequence of its meta message. */
export interface Meta {
  name: string;
  nuid: string;
  sizeBytes: number;
  chunks: number;
  sha256: string;
  storedAt: string;
  isDeleted: boolean;
  revision: number;
}

/** @throws NavvyError unreadable */
export function decodeMeta(bytes: Uint8Array, revision: number): Meta {
  let message: z.infer<typeof MetaMessage>;
  try {
    message = MetaMessage.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (cause) {
    throw new NavvyError("unreadable", `object meta at sequence ${revision} is not an object's description`, {
      cause,
      detail: { revision },
    });
  }
  return {
    name: message.name,
    nuid: message.nuid,
    sizeBytes: message.size,
    chunks: message.chunks,
    sha256: digestToHex(message.digest ?? ""),
    storedAt: message.mtime ?? "",
    isDeleted: message.deleted ?? false,
    revision,
  };
}

export function encodeMeta(bucket: string, meta: Omit<Meta, "revision">, chunkBytes: number): string {
  return JSON.stringify({
    name: meta.name,
    description: "",
    bucket,
    nuid: meta.nuid,
    size: meta.isDeleted ? 0 : meta.sizeBytes,
    chunks: meta.isDeleted ? 0 : meta.chunks,
    digest: meta.isDeleted ? "" : hexToDigest(meta.sha256),
    mtime: meta.storedAt,
    deleted: meta.isDeleted,
    options: { max_chunk_size: chunkBytes },
  });
}

/** Writers differ in padding and alphabet; Node reads them all. */
function digestToHex(digest: string): string {
  return digest.startsWith(DIGEST_PREFIX) ? Buffer.from(digest.slice(DIGEST_PREFIX.length), "base64url").toString("hex") : "";
}

function hexToDigest(sha256: string): string {
  return `${DIGEST_PREFIX}${Buffer.from(sha256, "hex").toString("base64url")}=`;
}
