import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { compareVersions } from "./version.js";

/** Where fetched servers are kept: `NAVVY_CACHE`, else `$XDG_CACHE_HOME/navvy`, else `~/.cache/navvy`. */
export function defaultCacheDir(env: NodeJS.ProcessEnv): string {
  return env.NAVVY_CACHE || join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), ".cache"), "navvy");
}

/** The paths of the cached servers, `versions/<version>/nats-server`, newest version first. */
export async function cachedPaths(cacheDir: string): Promise<string[]> {
  // A cache that is not there yet is an empty one.
  const versions = await readdir(join(cacheDir, "versions")).catch(() => []);
  const newestFirst = versions.filter((name) => /^\d/.test(name)).sort((a, b) => compareVersions(b, a));
  return newestFirst.map((version) => join(cacheDir, "versions", version, "nats-server"));
}

/** An empty folder in the cache, so that a rename into place stays on one file system. Removed when disposed. */
export async function stagingFolder(cacheDir: string): Promise<AsyncDisposable & { path: string }> {
  await mkdir(cacheDir, { recursive: true });
  const path = await mkdtemp(join(cacheDir, "fetch-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/**
 * Moves an unpacked server into its place, in one step that other processes see whole or not at all.
 * Whoever comes second keeps the first one's copy, which others may be running already.
 */
export async function keep(unpacked: string, { cacheDir, version }: { cacheDir: string; version: string }): Promise<string> {
  const target = join(cacheDir, "versions", version);
  await mkdir(join(cacheDir, "versions"), { recursive: true });
  try {
    await rename(unpacked, target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  }
  return target;
}
