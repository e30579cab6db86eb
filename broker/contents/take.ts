import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { nuid } from "nats";
import { NavvyError } from "../../protocol/index.js";
import { notFound } from "../objects/download.js";
import { translateFile } from "../objects/files.js";
import type { ContentStore } from "./content-store.js";

const GET_BYTES_DEFAULT = 16 * 1024 * 1024;
const SHA256 = /^[0-9a-f]{64}$/;

/** Into a file that appears under its name only when it is whole and verified; what was there is replaced. */
export async function takeToFile(
  store: ContentStore,
  sha256: string,
  { path, signal }: { path: string; signal?: AbortSignal | undefined },
): Promise<void> {
  const part = `${path}.${nuid.next()}.part`;
  try {
    const handle = await open(part, "wx");
    try {
      for await (const bytes of store.get(sha256)) {
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

/** All of it in memory, at most `maxBytes` (default 16 MiB). @throws NavvyError too_large, not_found, corrupt */
export async function takeBytes(store: ContentStore, sha256: string, options: { maxBytes?: number } = {}): Promise<Uint8Array> {
  const maxBytes = options.maxBytes ?? GET_BYTES_DEFAULT;
  const info = await store.info(sha256);
  if (!info) throw notFound(sha256);
  if (info.sizeBytes > maxBytes) {
    throw new NavvyError("too_large", `object ${sha256} is ${info.sizeBytes} bytes, over the limit of ${maxBytes}`, {
      detail: { sizeBytes: info.sizeBytes, maxBytes },
    });
  }
  const parts: Uint8Array[] = [];
  for await (const bytes of store.get(sha256)) parts.push(bytes);
  return Buffer.concat(parts);
}

/** @throws NavvyError invalid_argument */
export function requireSha256(sha256: string): string {
  if (SHA256.test(sha256)) return sha256;
  throw new NavvyError("invalid_argument", `${JSON.stringify(sha256)} is not a sha256`, {
    why: "expected 64 hexadecimal digits in lower case",
  });
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) written += (await handle.write(bytes, written)).bytesWritten;
}
