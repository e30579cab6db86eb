import { createReadStream } from "node:fs";
import { join } from "node:path";
import type { ReadableStream } from "node:stream/web";
import { createTarPacker, type TarHeader, type TarPackController } from "modern-tar";
import { NavvyError } from "../../protocol/index.js";
import type { BundleEntry } from "./entries.js";

const READ_BYTES = 256 * 1024;

/** The entries as a tar, in their order, without anything of the machine in it. `done` has the reason when it breaks off. */
export function tarOf(root: string, entries: BundleEntry[]): { readable: ReadableStream; done: Promise<void> } {
  const { readable, controller } = createTarPacker();
  const done = addAll(controller, root, entries).catch((error: unknown) => {
    controller.error(error);
    throw error;
  });
  return { readable: readable as ReadableStream, done };
}

async function addAll(controller: TarPackController, root: string, entries: BundleEntry[]): Promise<void> {
  for (const entry of entries) {
    const writer = controller.add(headerOf(entry)).getWriter();
    if (entry.sizeBytes > 0) await copy(join(root, entry.path), entry, (chunk) => writer.write(chunk));
    await writer.close();
  }
  controller.finalize();
}

/** Exactly as many bytes as the header says; a file that grows meanwhile is cut there. */
async function copy(file: string, entry: BundleEntry, write: (chunk: Uint8Array) => Promise<void>): Promise<void> {
  let left = entry.sizeBytes;
  for await (const chunk of createReadStream(file, { end: entry.sizeBytes - 1, highWaterMark: READ_BYTES })) {
    left -= (chunk as Buffer).length;
    await write(chunk as Buffer);
  }
  if (left > 0) throw new NavvyError("conflict", `file ${file} became shorter while it was packed`, { fix: "pack it again" });
}

function headerOf(entry: BundleEntry): TarHeader {
  const common = { name: entry.path, mtime: new Date(0), uid: 0, gid: 0, uname: "", gname: "", mode: entry.isExecutable ? 0o755 : 0o644 };
  if (entry.linkTo !== undefined) return { ...common, type: "symlink", size: 0, linkname: entry.linkTo };
  return { ...common, type: "file", size: entry.sizeBytes };
}
