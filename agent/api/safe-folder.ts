import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { NavvyError } from "../../protocol/index.js";

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const MAX_NAME_BYTES = 512;
const MAX_PART_BYTES = 255;

/**
 * The parts of an artifact's name, which may have folders in it.
 * @throws NavvyError invalid_argument: it would lead elsewhere, or no file can be called so
 */
export function partsOfName(name: string): string[] {
  const parts = name.split("/");
  const isBad = (part: string) =>
    part === "" || part === "." || part === ".." || part.includes("\0") || Buffer.byteLength(part) > MAX_PART_BYTES;
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES && !parts.some(isBad)) return parts;
  throw new NavvyError("invalid_argument", `${JSON.stringify(name.slice(0, 100))} can not be an artifact's name`, {
    why: `it is at most ${MAX_NAME_BYTES} bytes: names of files and folders with / between, none of them empty, . or ..`,
  });
}

/** What a folder holds, by name. */
export interface Entry {
  name: string;
  isFolder: boolean;
  sizeBytes: number;
}

/**
 * A folder that a task writes into too, for the agent, which may do more than the task: no link in it is followed, also none that is
 * put there in the same moment, as each folder is opened by its own and the next one looked for in what was opened.
 */
export class SafeFolder {
  readonly #root: string;
  /** On the same disk. */
  readonly #scratch: string;

  constructor(root: string, scratch: string) {
    this.#root = root;
    this.#scratch = scratch;
  }

  /**
   * Writes a file as it comes; it appears under its name when it is whole. @returns its size in bytes
   * @throws NavvyError invalid_argument (the name, or a link or file in its way)
   */
  async write(name: string, content: Readable): Promise<number> {
    const parts = partsOfName(name);
    const part = join(this.#scratch, `.upload-${randomUUID()}`);
    try {
      const sizeBytes = await spool(part, content);
      await this.#within(parts, { makes: true }, (folder, last) => rename(part, join(folder, last)).catch(inTheWay(name)));
      return sizeBytes;
    } finally {
      await rm(part, { force: true });
    }
  }

  /** A file, open to be read. @throws NavvyError not_found, invalid_argument (the name) */
  async open(name: string): Promise<{ handle: FileHandle; sizeBytes: number }> {
    return this.#within(partsOfName(name), {}, async (folder, last) => {
      const handle = await open(join(folder, last), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(missing(name));
      const found = await handle.stat();
      if (found.isFile()) return { handle, sizeBytes: found.size };
      await handle.close();
      return missing(name)(new Error("not a file"));
    });
  }

  /** What lies in a folder, by name; nothing where there is none. Links are left out. */
  async list(name: string): Promise<Entry[]> {
    try {
      return await this.#within([...(name === "" ? [] : partsOfName(name)), "."], {}, async (folder) => {
        const entries = await readdir(folder, { withFileTypes: true });
        const kept = entries.filter((entry) => entry.isDirectory() || entry.isFile()).sort((a, b) => a.name.localeCompare(b.name));
        return Promise.all(
          kept.map(async (entry) => {
            const sizeBytes = entry.isFile() ? (await stat(join(folder, entry.name)).catch(() => undefined))?.size : 0;
            return { name: entry.name, isFolder: entry.isDirectory(), sizeBytes: sizeBytes ?? 0 };
          }),
        );
      });
    } catch (error) {
      if (error instanceof NavvyError && error.code === "not_found") return [];
      throw error;
    }
  }

  async #within<T>(parts: string[], { makes = false }, act: (folder: string, last: string) => Promise<T>): Promise<T> {
    let folder = await open(this.#root, O_RDONLY | O_DIRECTORY).catch(missing(parts.join("/")));
    let path = this.#root;
    try {
      for (const part of parts.slice(0, -1)) {
        const next = join(inside(folder, path), part);
        if (makes) await mkdir(next).catch(unlessThere);
        const opened = await open(next, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch(
          makes ? inTheWay(parts.join("/")) : missing(parts.join("/")),
        );
        await folder.close();
        folder = opened;
        path = join(path, part);
      }
      return await act(inside(folder, path), parts.at(-1) ?? "");
    } finally {
      await folder.close();
    }
  }
}

/** A folder that is open, as a path that stays with it whatever happens to its name. */
function inside(folder: FileHandle, path: string): string {
  return process.platform === "linux" ? `/proc/self/fd/${folder.fd}` : path;
}

/** Chunk by chunk, no faster than the disk takes it. */
async function spool(path: string, content: Readable): Promise<number> {
  const file = await open(path, "wx", 0o644);
  let sizeBytes = 0;
  try {
    // Whoever sends it is still to hear why it was not taken.
    for await (const chunk of content.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
      sizeBytes += chunk.length;
    }
    return sizeBytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
    throw new NavvyError("aborted", "the client went away in the middle of the file", { cause: error });
  } finally {
    await file.close();
  }
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

function inTheWay(name: string) {
  return (error: NodeJS.ErrnoException): never => {
    if (!["ENOTDIR", "ELOOP", "EISDIR", "ENOTEMPTY", "EEXIST", "ENAMETOOLONG"].includes(error.code ?? "")) throw error;
    throw new NavvyError(
      "invalid_argument",
      `artifact ${JSON.stringify(name)} can not be put there: a file, folder or link is in its way`,
      {
        cause: error,
      },
    );
  };
}

function missing(name: string) {
  return (error: NodeJS.ErrnoException): never => {
    throw new NavvyError("not_found", `there is no file ${JSON.stringify(name)}`, { cause: error });
  };
}
