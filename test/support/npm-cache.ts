import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { userEnv } from "./packed.js";

/**
 * A cache of npm's with all that the lock file names, from which `npm ci --offline` installs in an image without a network. It is kept
 * in the temp folder under the lock file's checksum; the first time it needs the registry.
 */
export async function npmCache(): Promise<string> {
  const base = join(tmpdir(), `navvy-npm-${userInfo().uid}`);
  const lock = await readFile("package-lock.json");
  const folder = join(base, createHash("sha256").update(lock).digest("hex").slice(0, 16));
  if (existsSync(folder)) return folder;
  await mkdir(base, { recursive: true, mode: 0o700 });
  const staging = await mkdtemp(join(base, "staging-"));
  try {
    for (const name of ["package.json", "package-lock.json"]) await cp(name, join(staging, name));
    const cache = join(staging, "cache");
    const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--include=dev", "--cache", cache];
    await execa("npm", ["ci", ...flags], { cwd: staging, env: userEnv(), extendEnv: false, timeout: 240_000 });
    // Another process may have been faster.
    await rename(cache, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return folder;
}

/** Where npm looks when it is not told: entries of its cache go by this too. */
export async function npmRegistry(): Promise<string> {
  return (await execa("npm", ["config", "get", "registry"], { env: userEnv(), extendEnv: false })).stdout.trim();
}
