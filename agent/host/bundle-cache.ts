import { chmod, constants, copyFile, mkdir, readdir, readlink, rename, rm, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { ulid } from "ulid";
import { unpackBundle } from "../../broker/bundle/index.js";
import { type CodeRef, NavvyError } from "../../protocol/index.js";
import { succeeds } from "./succeeds.js";

const TEMP_SUFFIX = ".tmp";
/** The name comes out of a task's record and becomes a path. */
const SHA256 = /^[0-9a-f]{64}$/;

export interface BundleCacheOptions {
  /** One agent's own: what another left half in it is removed at the first use. */
  dir: string;
  /** Brings a bundle, verified, into a file. */
  fetch: (sha256: string, file: string) => Promise<void>;
}

/**
 * Code bundles unpacked once per agent, under `<dir>/<sha256>/`, and copied from there for every attempt: an attempt may
 * change its copy, the next one finds the code as it was packed. A crash leaves only `.tmp` folders behind.
 */
export class BundleCache {
  readonly #dir: string;
  readonly #fetch: BundleCacheOptions["fetch"];
  readonly #unpacking = new Map<string, Promise<void>>();
  #swept: Promise<void> | undefined;

  constructor(options: BundleCacheOptions) {
    this.#dir = options.dir;
    this.#fetch = options.fetch;
  }

  /**
   * Puts the bundle's files into the folder, which is made when it is missing.
   * @throws NavvyError not_found, corrupt, invalid_argument (a bundle that tries to leave its folder), disk_full, and what `fetch` throws
   */
  async materialize(ref: CodeRef, into: string): Promise<void> {
    if (!SHA256.test(ref.bundle))
      throw new NavvyError("invalid_argument", `code bundle ${JSON.stringify(ref.bundle)} is not named by a sha256`);
    const cached = join(this.#dir, ref.bundle);
    await this.#ensure(ref.bundle, cached);
    await copyFolder(cached, into);
  }

  /** Callers that come while a bundle is being unpacked wait for that one; after a failure the next one tries anew. */
  #ensure(sha256: string, cached: string): Promise<void> {
    const underway = this.#unpacking.get(sha256);
    if (underway) return underway;
    const unpacking = this.#unpack(sha256, cached).finally(() => this.#unpacking.delete(sha256));
    this.#unpacking.set(sha256, unpacking);
    return unpacking;
  }

  async #unpack(sha256: string, cached: string): Promise<void> {
    this.#swept ??= this.#sweep();
    await this.#swept.catch((error: unknown) => {
      this.#swept = undefined;
      throw error;
    });
    if (await succeeds(stat(cached))) return;
    const temp = join(this.#dir, `${ulid()}${TEMP_SUFFIX}`);
    try {
      await mkdir(temp);
      const [file, content] = [join(temp, "bundle"), join(temp, "content")];
      await this.#fetch(sha256, file);
      await unpackBundle(file, content);
      await protect(content);
      await rename(content, cached);
    } finally {
      await rm(temp, { recursive: true, force: true });
    }
  }

  async #sweep(): Promise<void> {
    await mkdir(this.#dir, { recursive: true });
    const left = (await readdir(this.#dir)).filter((name) => name.endsWith(TEMP_SUFFIX));
    await Promise.all(left.map((name) => rm(join(this.#dir, name), { recursive: true, force: true })));
  }
}

/** Files only: in a read-only folder nobody but root could remove them again. */
async function protect(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await protect(path);
    else if (entry.isFile()) await chmod(path, (await stat(path)).mode & 0o555);
  }
}

/** Shares the blocks where the file system can (btrfs, xfs); the copies can be written again. */
async function copyFolder(from: string, into: string): Promise<void> {
  await mkdir(into, { recursive: true });
  const entries = await readdir(from, { withFileTypes: true });
  await Promise.all(entries.map((entry) => copyEntry(entry, join(from, entry.name), join(into, entry.name))));
}

async function copyEntry(entry: { isDirectory(): boolean; isSymbolicLink(): boolean }, from: string, into: string): Promise<void> {
  if (entry.isDirectory()) return copyFolder(from, into);
  if (entry.isSymbolicLink()) return symlink(await readlink(from), into);
  await copyFile(from, into, constants.COPYFILE_FICLONE);
  await chmod(into, (await stat(from)).mode | 0o200);
}
