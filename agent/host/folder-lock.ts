import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { birthOf } from "../../broker/index.js";
import { NavvyError } from "../../protocol/index.js";

interface Holder {
  pid: number;
  /** When its process was born, to be compared only: a number that was given out again is not the holder. */
  startedAt: string;
  host: string;
}

/** A lock that is held. */
export interface FolderLock {
  release: () => Promise<void>;
}

/**
 * Makes an agent's folder this process's: two agents in one folder would take each other's tasks for leftovers. A holder
 * that is dead has left it, however it died.
 *
 * @throws NavvyError conflict
 */
export async function lockFolder(path: string): Promise<FolderLock> {
  const holder = await readHolder(path);
  if (holder && holder.host === hostname() && holder.pid !== process.pid && (await birthOf(holder.pid)) === holder.startedAt) {
    throw new NavvyError("conflict", `another agent works in this folder: process ${holder.pid} on this host, by ${path}`, {
      why: "two agents in one folder would take each other's tasks for left over",
      fix: ["give this one another name or folder: --name NAME, --work-dir DIR", `or end that one: kill ${holder.pid}`],
    });
  }
  const own: Holder = { pid: process.pid, startedAt: (await birthOf(process.pid)) ?? "", host: hostname() };
  await writeFile(`${path}.next`, JSON.stringify(own), { mode: 0o600 });
  await rename(`${path}.next`, path);
  return { release: () => rm(path, { force: true }) };
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Holder;
  } catch {
    return undefined; // never held, or written by a crash in the middle of it
  }
}
