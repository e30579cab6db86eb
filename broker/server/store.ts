import { mkdir, mkdtemp, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import { lockStore, type StoreLock } from "./store-lock.js";

/**
 * One server's folder:
 *   jetstream/            what the server keeps
 *   nats-server.log       what it says, unless another file is named
 *   nats-server_<pid>.ports, server.conf, server.lock
 */
export interface Store {
  readonly dir: string;
  /** True when the folder is removed with the server. */
  readonly isTemporary: boolean;
  readonly lock: StoreLock;
  /** Gives the folder back: removes it when temporary, else only the lock. */
  release(): Promise<void>;
}

/**
 * Makes and claims a store; without a folder a temporary one.
 * Throws `setup_failed` when it can not be written or is in use, `disk_full` when there is no room.
 */
export async function openStore(storeDir?: string): Promise<Store> {
  const isTemporary = storeDir === undefined;
  const dir = isTemporary ? await mkdtemp(join(tmpdir(), "navvy-nats-")) : resolve(storeDir);
  try {
    await mkdir(dir, { recursive: true });
    const lock = await lockStore(dir);
    await removeOldPorts(dir);
    const release = isTemporary ? () => rm(dir, { recursive: true, force: true, maxRetries: 3 }) : () => lock.release();
    return { dir, isTemporary, lock, release };
  } catch (error) {
    throw asStoreError(dir, error);
  }
}

/** A server that was killed leaves its ports file, and its process id may come again. */
async function removeOldPorts(dir: string): Promise<void> {
  const old = (await readdir(dir)).filter((name) => name.endsWith(".ports"));
  await Promise.all(old.map((name) => rm(join(dir, name), { force: true })));
}

/** Opens the log for the server to append to; `start` is where this server's own lines begin. */
export async function openLog(path: string): Promise<{ fd: number; start: number; close(): Promise<void> }> {
  try {
    const file = await open(path, "a");
    return { fd: file.fd, start: (await file.stat()).size, close: () => file.close() };
  } catch (error) {
    throw asStoreError(path, error);
  }
}

function asStoreError(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof NavvyError || code === undefined) return error;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new NavvyError("disk_full", `no room for the server's store in ${path}`, {
      cause: error,
      fix: `df -h ${path}`,
      detail: { path, code },
    });
  }
  return new NavvyError("setup_failed", `the server's store ${path} can not be written`, {
    why: (error as Error).message,
    fix: ["choose a folder that you may write to", `or: sudo chown -R "$(id -un)" '${path}'`],
    detail: { path, code },
    cause: error,
  });
}
