import { readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ulid } from "ulid";

/** What lies in the cache: a mirror (`<hash>.git`) or a checkout. When it was last used is the time of its `navvy.json`. */
interface Item {
  path: string;
  usedMs: number;
  sizeBytes: number;
}

export const ABOUT = "navvy.json";
export const TEMP_SUFFIX = ".tmp";

/** Keeps a folder of mirrors and checkouts under a size: the least recently used ones go, never one that is in use. */
export class Shelf {
  readonly #dir: string;
  readonly #maxBytes: number;
  readonly #held = new Map<string, number>();

  constructor(dir: string, maxBytes: number) {
    this.#dir = dir;
    this.#maxBytes = maxBytes;
  }

  /** Nothing takes it away while `act` runs. */
  async hold<T>(path: string, act: () => Promise<T>): Promise<T> {
    this.#held.set(path, (this.#held.get(path) ?? 0) + 1);
    try {
      return await act();
    } finally {
      const left = (this.#held.get(path) ?? 1) - 1;
      if (left > 0) this.#held.set(path, left);
      else this.#held.delete(path);
    }
  }

  /** Removes what is too much. To be called when something was added. */
  async trim(): Promise<void> {
    const items = (await this.#items()).sort((a, b) => a.usedMs - b.usedMs);
    let totalBytes = items.reduce((sum, item) => sum + item.sizeBytes, 0);
    for (const { path, sizeBytes } of items) {
      if (totalBytes <= this.#maxBytes) return;
      if (this.#held.has(path)) continue;
      totalBytes -= sizeBytes;
      const gone = `${path}.${ulid()}${TEMP_SUFFIX}`;
      await rename(path, gone);
      await rm(gone, { recursive: true, force: true });
    }
  }

  async #items(): Promise<Item[]> {
    const names = (await readdir(this.#dir)).filter((name) => !name.endsWith(TEMP_SUFFIX));
    const items = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#dir, name);
        const about = await stat(join(path, ABOUT)).catch(() => undefined);
        if (!about) return [];
        const sizeBytes = name.endsWith(".git") ? await packsSize(path) : ((await readAbout<{ sizeBytes: number }>(path))?.sizeBytes ?? 0);
        return [{ path, usedMs: about.mtimeMs, sizeBytes }];
      }),
    );
    return items.flat();
  }
}

async function packsSize(mirror: string): Promise<number> {
  const packs = join(mirror, "objects", "pack");
  const sizes = (await readdir(packs).catch(() => [])).map(
    async (name) => (await stat(join(packs, name)).catch(() => undefined))?.size ?? 0,
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** What an item says of itself; undefined where it is not there, or not whole. */
export async function readAbout<T>(path: string): Promise<T | undefined> {
  const text = await readFile(join(path, ABOUT), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return text === "" ? undefined : (JSON.parse(text) as T);
}

export async function writeAbout(path: string, about: object): Promise<void> {
  await writeFile(join(path, ABOUT), `${JSON.stringify(about)}\n`);
}

/** It was used just now. */
export async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(join(path, ABOUT), now, now);
}
