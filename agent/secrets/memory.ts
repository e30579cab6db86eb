import { createHash } from "node:crypto";
import { lstat, mkdir, readdir, rm, rmdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";

/** As the kernel numbers them: tmpfs, ramfs. */
const IN_MEMORY = new Set([0x01021994, 0x858458f6]);

type Where = Pick<AgentConfig, "secretsDir" | "folder">;

/** One agent's own, for what its running tasks have of secrets; nobody else on the machine may look into it. */
function memoryOf({ secretsDir, folder }: Where): string {
  return join(secretsDir, `navvy-${createHash("sha256").update(folder).digest("hex").slice(0, 12)}`);
}

/** An attempt's part of it. */
export function attemptMemory(config: Where, key: string): string {
  return join(memoryOf(config), key);
}

/** Makes an attempt's part anew. @throws NavvyError internal: there is no memory to be had, or the folder is somebody else's */
export async function makeAttemptMemory(config: Where, key: string): Promise<string> {
  const base = memoryOf(config);
  const kind = await statfs(config.secretsDir).catch((cause: unknown) => {
    throw noMemory(config, `${config.secretsDir} is not there`, cause);
  });
  if (!IN_MEMORY.has(kind.type)) throw noMemory(config, `${config.secretsDir} lies on a disk`);
  for (;;) {
    try {
      return await makeIn(base, key);
    } catch (error) {
      // The attempt that was the last one took the empty folder along just now.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

async function makeIn(base: string, key: string): Promise<string> {
  await mkdir(base, { recursive: true, mode: 0o700 });
  const found = await lstat(base);
  // Anyone may make folders in /dev/shm, also one that is called as ours.
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0)
    throw new NavvyError("internal", `${base} is not this agent's own`, {
      why: "another user made it, or opened it to others",
      fix: `rm -r ${base}`,
    });
  const path = join(base, key);
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { mode: 0o700 });
  return path;
}

export async function removeAttemptMemory(config: Where, key: string): Promise<void> {
  await rm(attemptMemory(config, key), { recursive: true, force: true });
  await rmdir(memoryOf(config)).catch(() => undefined); // others are there
}

/** Removes what an earlier run left there, but for the attempts that live. */
export async function tidyMemory(config: Where, live: ReadonlySet<string>): Promise<void> {
  const base = memoryOf(config);
  const left = (await readdir(base).catch(() => [])).filter((key) => !live.has(key));
  await Promise.all(left.map((key) => rm(join(base, key), { recursive: true, force: true })));
}

function noMemory({ secretsDir }: Where, why: string, cause?: unknown): NavvyError {
  return new NavvyError("internal", "there is no folder in memory for a task's secrets, and they are not written to a disk", {
    why,
    cause,
    fix: [`mount -t tmpfs -o mode=1777 tmpfs ${secretsDir}`, "or --secrets-dir DIR: a folder on a tmpfs"],
  });
}
