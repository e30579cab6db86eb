import { link, mkdir, readFile, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import { birthOf } from "./birth.js";

/** Who uses a store. */
export interface StoreUser {
  pid: number;
  birth: string;
  /** Absent while the server starts. */
  url?: string;
  version?: string;
}

/** The right to run a server on a store. */
export interface StoreLock {
  /** Hands the right over to the server, so that it lasts as long as the server does. */
  handOver(pid: number, about: { url: string; version: string }): Promise<void>;
  release(): Promise<void>;
}

/**
 * Claims a store for one server. nats-server itself does not: two on one store answer both, and each spoils the
 * other's files. Throws `setup_failed` when another server uses it.
 */
export async function lockStore(storeDir: string): Promise<StoreLock> {
  const path = lockPath(storeDir);
  let mine = process.pid;
  await write(path, await user(mine), async (draft) => {
    while (!(await linked(draft, path))) await refuseOrClear(storeDir);
  });
  return {
    handOver: async (pid, about) => {
      await write(path, { ...(await user(pid)), ...about }, (draft) => rename(draft, path));
      mine = pid;
    },
    release: async () => {
      const holder = await read(path);
      if (holder !== undefined && holder.pid === mine) await clear(path, holder);
    },
  };
}

/** The server that uses a store now; undefined when none does. */
export async function storeUser(storeDir: string): Promise<StoreUser | undefined> {
  return living(await read(lockPath(storeDir)));
}

function lockPath(storeDir: string): string {
  return join(storeDir, "server.lock");
}

async function user(pid: number): Promise<StoreUser> {
  return { pid, birth: (await birthOf(pid)) ?? "" };
}

/** Writes a draft beside the lock, so that the lock itself is only ever seen whole. */
async function write(path: string, content: StoreUser, publish: (draft: string) => Promise<void>): Promise<void> {
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  try {
    await writeFile(draft, JSON.stringify(content));
    await publish(draft);
  } finally {
    await rm(draft, { force: true });
  }
}

async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Throws when the holder lives, else clears its lock. */
async function refuseOrClear(storeDir: string): Promise<void> {
  const path = lockPath(storeDir);
  const holder = await read(path);
  if ((await living(holder)) !== undefined) throw inUse(storeDir, holder as StoreUser);
  await clear(path, holder);
}

const GATE_WAIT_MS = 10;
/** A gate as old as this was left by a crash: passing it takes well under a second. */
const GATE_STALE_MS = 10_000;

/**
 * Removes the lock of this holder and no other's: a new one may have come since it was read. One at a time through a gate,
 * looking again behind it: between a look and a removal without it, a third could come in.
 */
async function clear(path: string, holder: StoreUser | undefined): Promise<void> {
  const gate = `${path}.gate`;
  while (!(await entered(gate))) await new Promise((resolve) => setTimeout(resolve, GATE_WAIT_MS));
  try {
    const now = await read(path);
    if (now?.pid === holder?.pid && now?.birth === holder?.birth) await rm(path, { force: true });
  } finally {
    await rmdir(gate);
  }
}

async function entered(gate: string): Promise<boolean> {
  try {
    await mkdir(gate);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const found = await stat(gate).catch(() => undefined); // gone meanwhile: the next try tells
    if (found && Date.now() - found.mtimeMs > GATE_STALE_MS) await rmdir(gate).catch(() => undefined);
    return false;
  }
}

async function read(path: string): Promise<StoreUser | undefined> {
  // No lock, or one that a crash left half written: nobody holds it.
  const text = await readFile(path, "utf8").catch(() => "");
  try {
    return JSON.parse(text) as StoreUser;
  } catch {
    return undefined;
  }
}

async function living(holder: StoreUser | undefined): Promise<StoreUser | undefined> {
  if (holder === undefined) return undefined;
  return (await birthOf(holder.pid)) === holder.birth ? holder : undefined;
}

function inUse(storeDir: string, { pid, url }: StoreUser): NavvyError {
  return new NavvyError("setup_failed", `the store ${storeDir} is in use by the server with process id ${pid}`, {
    why: "two servers on one store spoil each other's files",
    fix: [...(url === undefined ? [] : [`use that server: NAVVY_SERVER=${url}`]), `or end it: kill ${pid}`],
    detail: { storeDir, pid },
  });
}
