import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { chmod, copyFile, link, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ulid } from "ulid";
import type { ContentRef } from "../../broker/index.js";
import { NavvyError } from "../../protocol/index.js";
import type { Disposable } from "./disposable.js";

const SUFFIX = ".json";
/** The name comes out of a task's record and becomes a path. */
const SHA256 = /^[0-9a-f]{64}$/;

export interface InputCacheOptions {
  /** One agent's own. */
  dir: string;
  /** Larger ones are not kept. */
  maxBytes: number;
  /** Brings content, verified, to a path: a file or a folder. */
  fetch: (ref: ContentRef, path: string, signal: AbortSignal) => Promise<void>;
  /** Something new is there: it may be over its limit now. */
  onKept?: () => void;
}

/** What a folder or file looked like when it was whole. */
interface Looks {
  files: number;
  bytes: number;
  newestMs: number;
}

interface Fetching {
  done: Promise<void>;
  waiting: number;
  cut: AbortController;
}

/**
 * Inputs by their hash, fetched once per agent and given to each task as hard links, as copies that share their blocks, or as copies:
 * whichever the disk can do. They are read-only. One that a task changed all the same is seen by size and time, and fetched anew.
 */
export class InputCache {
  readonly #options: InputCacheOptions;
  readonly #fetching = new Map<string, Fetching>();

  constructor(options: InputCacheOptions) {
    this.#options = options;
  }

  /**
   * Lays the input down under a path that is not taken.
   * @throws NavvyError not_found, corrupt, disk_full, and what `fetch` throws
   */
  async materialize(
    ref: ContentRef & { sizeBytes: number },
    into: string,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<void> {
    if (!SHA256.test(ref.sha256)) throw new NavvyError("invalid_argument", `input ${JSON.stringify(ref.sha256)} is not named by a sha256`);
    if (ref.sizeBytes > this.#options.maxBytes) {
      await this.#options.fetch(ref, into, signal);
      return protect(into);
    }
    const path = join(this.#options.dir, ref.files === undefined ? ref.sha256 : `${ref.sha256}-folder`);
    for (let tries = 0; ; tries++) {
      await this.#ensure(ref, path, signal);
      try {
        return await give(path, into);
      } catch (error) {
        // It was removed between the two: room was needed.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT" || tries > 0) throw error;
        await rm(into, { recursive: true, force: true });
      }
    }
  }

  /** What can go: tasks hold their own links. */
  async idle(): Promise<Disposable[]> {
    const all = await Promise.all((await this.#names()).map(async (name) => ({ name, looks: await this.#marked(name) })));
    return all.flatMap(({ name, looks }) => {
      if (!looks || this.#fetching.has(join(this.#options.dir, name))) return [];
      return [{ what: `input ${name}`, usedAtMs: looks.usedAtMs, sizeBytes: looks.bytes, dispose: () => this.#dispose(name) }];
    });
  }

  /** Bytes of all that is there. */
  async size(): Promise<number> {
    return (await this.idle()).reduce((sum, one) => sum + (one.sizeBytes ?? 0), 0);
  }

  /** Callers that come while it is fetched wait for that; it is cut short when none of them waits any more. */
  async #ensure(ref: ContentRef, path: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    let fetching = this.#fetching.get(path);
    // One that was cut short takes its time to end, and is nobody else's failure.
    for (; fetching?.cut.signal.aborted; fetching = this.#fetching.get(path)) await fetching.done.catch(() => undefined);
    fetching ??= this.#begin(ref, path);
    const joined = fetching;
    joined.waiting++;
    const leave = () => {
      if (--joined.waiting === 0) joined.cut.abort();
    };
    signal.addEventListener("abort", leave, { once: true });
    try {
      await joined.done;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #begin(ref: ContentRef, path: string): Fetching {
    const cut = new AbortController();
    const done = this.#bring(ref, path, cut.signal).finally(() => this.#fetching.delete(path));
    const fetching = { done, waiting: 0, cut };
    this.#fetching.set(path, fetching);
    return fetching;
  }

  async #bring(ref: ContentRef, path: string, signal: AbortSignal): Promise<void> {
    const marker = `${path}${SUFFIX}`;
    const known = await readMarker(marker);
    if (known && isSame(known, await look(path).catch(() => undefined))) {
      const now = new Date();
      await utimes(marker, now, now);
      return;
    }
    await this.#clear(path);
    await mkdir(this.#options.dir, { recursive: true });
    await this.#options.fetch(ref, path, signal);
    await protect(path);
    await writeFile(marker, JSON.stringify(await look(path)));
    this.#options.onKept?.();
  }

  async #dispose(name: string): Promise<void> {
    const path = join(this.#options.dir, name);
    if (!this.#fetching.has(path)) await this.#clear(path);
  }

  /** Marker first; what it names out of the way at once, so that nobody takes half of it. */
  async #clear(path: string): Promise<void> {
    await rm(`${path}${SUFFIX}`, { force: true });
    const aside = `${path}.${randomUUID()}`;
    const isThere = await rename(path, aside).then(
      () => true,
      () => false,
    );
    if (isThere) await rm(aside, { recursive: true, force: true, maxRetries: 3 });
  }

  async #marked(name: string): Promise<(Looks & { usedAtMs: number }) | undefined> {
    const marker = join(this.#options.dir, `${name}${SUFFIX}`);
    const looks = await readMarker(marker);
    const found = looks && (await stat(marker).catch(() => undefined));
    return found && { ...looks, usedAtMs: found.mtimeMs };
  }

  async #names(): Promise<string[]> {
    const names = await readdir(this.#options.dir).catch(() => []);
    return names.filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length));
  }
}

/** What an earlier run left half made: nothing of it has a marker. To be called before the first use. */
export async function tidyInputs(dir: string): Promise<void> {
  const names = await readdir(dir).catch(() => []);
  const marked = new Set(names.filter((name) => name.endsWith(SUFFIX)).flatMap((name) => [name, name.slice(0, -SUFFIX.length)]));
  await Promise.all(names.filter((name) => !marked.has(name)).map((name) => rm(join(dir, name), { recursive: true, force: true })));
}

async function readMarker(path: string): Promise<Looks | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Looks;
  } catch {
    return undefined; // none, or torn: it is fetched again
  }
}

function isSame(a: Looks, b: Looks | undefined): boolean {
  return a.files === b?.files && a.bytes === b.bytes && a.newestMs === b.newestMs;
}

async function look(path: string): Promise<Looks> {
  const found = await stat(path);
  if (!found.isDirectory()) return { files: 1, bytes: found.size, newestMs: found.mtimeMs };
  const looks: Looks = { files: 0, bytes: 0, newestMs: 0 };
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const below = await look(join(path, entry.name));
    looks.files += below.files;
    looks.bytes += below.bytes;
    looks.newestMs = Math.max(looks.newestMs, below.newestMs);
  }
  return looks;
}

/** Files only: in a read-only folder nobody but root could remove them again. */
async function protect(path: string): Promise<void> {
  const found = await stat(path);
  if (!found.isDirectory()) return chmod(path, found.mode & 0o555);
  for (const entry of await readdir(path, { withFileTypes: true })) if (!entry.isSymbolicLink()) await protect(join(path, entry.name));
}

async function give(from: string, into: string): Promise<void> {
  if (!(await stat(from)).isDirectory()) return giveFile(from, into);
  await mkdir(into);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(into, entry.name)];
    if (entry.isSymbolicLink()) await symlink(await readlink(source), target);
    else await give(source, target);
  }
}

/** Blocks that are shared are the best, since what is done to one is not done to the other. */
async function giveFile(from: string, into: string): Promise<void> {
  try {
    return await copyFile(from, into, constants.COPYFILE_FICLONE_FORCE);
  } catch (error) {
    if (["ENOENT", "ENOSPC"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await rm(into, { force: true });
  }
  await link(from, into).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") throw error;
    return copyFile(from, into);
  });
}

/** A cache for once, below a folder that its maker removes. */
export function passingCache(dir: string, fetch: InputCacheOptions["fetch"]): InputCache {
  return new InputCache({ dir: join(dir, ulid()), maxBytes: 0, fetch });
}
