import { randomUUID } from "node:crypto";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { birthOf } from "../../../broker/index.js";
import { NavvyError } from "../../../protocol/index.js";

/** Who holds a GPU on this host. It lives as long as its agent or the spawner beside it: either may have the task running. */
export interface LockHolder {
  agent: string;
  /** The agent's own folder: no two agents share one. */
  folder: string;
  task: string;
  /** The space that the numbers of its processes belong to; another one can not be looked into from here. */
  space: string;
  processes: { pid: number; birth: string }[];
}

export interface GpuLocksOptions {
  /** Shared by all agents of the host. */
  folder: string;
  agent: string;
  agentFolder: string;
  spawnerPid: number;
}

/** What nobody answers for any more while someone else takes it over. */
const GUARD_STALE_MS = 10_000;

/** Where agents of one host look, whoever they run as. */
export function defaultLockFolder(): string {
  return join(existsSync("/run/lock") ? "/run/lock" : tmpdir(), "navvy-gpus");
}

/**
 * One file for each GPU that is held, in a folder that all agents of a host share, so that no two give out the same one. Everyone
 * may write there: what an agent of one user left behind an agent of another takes over.
 *
 * A file comes into being with its content (by a hard link), so nobody reads half of it. A dead holder's is replaced under a
 * guard, one taker at a time, after it was read once more.
 */
export class GpuLocks {
  readonly #folder: string;
  readonly #own: Omit<LockHolder, "task">;
  readonly #spawnerPid: number;
  /** Texts of locks whose holder was found dead. */
  #dead = new Set<string>();

  /** @throws NavvyError setup_failed when the folder can not be made or written */
  static async open({ folder, agent, agentFolder, spawnerPid }: GpuLocksOptions): Promise<GpuLocks> {
    try {
      makeFolder(folder);
      const probe = join(folder, `probe.${randomUUID()}`);
      writeFileSync(probe, "");
      rmSync(probe);
    } catch (cause) {
      throw new NavvyError("setup_failed", `the folder where agents of this host say which GPUs they use can not be written: ${folder}`, {
        cause,
        fix: [`sudo chmod 777 ${folder}`, "or another one, the same for all agents here: --gpu-locks DIR", "or none: --share-gpus"],
      });
    }
    const pids = [process.pid, spawnerPid];
    const processes = await Promise.all(pids.map(async (pid) => ({ pid, birth: (await birthOf(pid)) ?? "" })));
    return new GpuLocks(folder, { agent, folder: agentFolder, space: ownSpace(), processes }, spawnerPid);
  }

  private constructor(folder: string, own: Omit<LockHolder, "task">, spawnerPid: number) {
    this.#folder = folder;
    this.#own = own;
    this.#spawnerPid = spawnerPid;
  }

  /** Another agent that holds it; undefined when nobody that lives does. */
  async holder(id: string): Promise<LockHolder | undefined> {
    const text = read(this.#path(id));
    const holder = text === undefined ? undefined : parse(text);
    if (text === undefined || (holder && (await this.#isLeft(holder)))) {
      if (text !== undefined) this.#dead.add(text);
      return undefined;
    }
    return holder;
  }

  /** False when another agent was faster. What `holder` has found dead is taken over. */
  take(id: string, task: string): boolean {
    const path = this.#path(id);
    const next = `${path}.${process.pid}.next`;
    makeFolder(this.#folder); // whoever tidies up such places may have taken it away
    writeFileSync(next, JSON.stringify({ ...this.#own, task }), { mode: 0o644 });
    try {
      linkSync(next, path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      return this.#replace(path, next);
    } finally {
      rmSync(next, { force: true });
    }
  }

  release(id: string): void {
    const path = this.#path(id);
    const text = read(path);
    if (text !== undefined && this.#isOwn(text)) rmSync(path, { force: true });
  }

  /** Gives back what an earlier run of this agent held and this one does not. */
  async releaseAllBut(ids: string[]): Promise<void> {
    const kept = new Set(ids.map((id) => this.#path(id)));
    makeFolder(this.#folder);
    for (const name of readdirSync(this.#folder)) {
      const path = join(this.#folder, name);
      const text = name.endsWith(".lock") && !kept.has(path) ? read(path) : undefined;
      const holder = text === undefined ? undefined : parse(text);
      if (holder?.folder === this.#own.folder && (await this.#isLeft(holder))) rmSync(path, { force: true });
    }
  }

  #replace(path: string, next: string): boolean {
    const guard = `${path}.guard`;
    if (!enter(guard)) return false;
    try {
      const text = read(path);
      const isFree = text === undefined || this.#dead.has(text) || this.#isOwn(text);
      if (isFree) renameSync(next, path);
      return isFree;
    } finally {
      rmdirSync(guard);
    }
  }

  #isOwn(text: string): boolean {
    const holder = parse(text);
    return holder?.folder === this.#own.folder && holder.processes.some(({ pid }) => pid === process.pid || pid === this.#spawnerPid);
  }

  /** This agent's folder is locked, so an earlier agent of it is dead; the spawner of a forgotten run may still have its task. */
  async #isLeft({ folder, space, processes }: LockHolder): Promise<boolean> {
    if (space !== this.#own.space && processes.length > 0) return false;
    const others = folder === this.#own.folder ? processes.slice(1).filter(({ pid }) => pid !== this.#spawnerPid) : processes;
    const births = await Promise.all(others.map(async ({ pid, birth }) => (await birthOf(pid)) === birth));
    return !births.includes(true);
  }

  #path(id: string): string {
    return join(this.#folder, `${id.replace(/[^A-Za-z0-9-]+/g, "_")}.lock`);
  }
}

function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o777); // whatever the umask is: agents of other users come here too
}

/** True once the guard is this process's; false while someone else is at it. */
function enter(guard: string): boolean {
  try {
    mkdirSync(guard);
    return true;
  } catch {
    try {
      // Whoever made it died within: it is taken away for the next try.
      if (Date.now() - statSync(guard).mtimeMs > GUARD_STALE_MS) rmdirSync(guard);
    } catch {
      // gone meanwhile
    }
    return false;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // nobody holds it
  }
}

/** What is no lock of ours is one that nobody answers for. */
function parse(text: string): LockHolder {
  try {
    const holder = JSON.parse(text) as LockHolder;
    if (Array.isArray(holder.processes)) return holder;
  } catch {
    // not JSON
  }
  return { agent: "?", folder: "", task: "", space: "", processes: [] };
}

/** Empty where there are no such spaces (not Linux). */
function ownSpace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}
