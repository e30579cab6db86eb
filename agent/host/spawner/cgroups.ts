import { accessSync, constants, mkdirSync } from "node:fs";
import { join } from "node:path";
import { isPopulated, ownCgroup, ownCgroupV1, removeCgroup, tryRead, tryWrite } from "../cgroup.js";
import { Guard } from "./guard.js";
import { MemoryLimits } from "./memory.js";

/** How long we stay in the cgroup of a tree that was just started: moving out stops everything else for some milliseconds. */
const LINGER_MS = 10;

/** Room for our own threads in the limit of a tree while we are in its cgroup. */
const OUR_THREADS = 16;

/** The cgroup of one tree. */
export interface Cgroup {
  folder: string;
  /** Where its number of processes is limited: the same, or one in a hierarchy of that controller alone. */
  limits?: string;
  maxPids?: number;
}

/**
 * The cgroups of a spawner's trees: `navvy-<agent>-<pid>/<number>` below its own.
 *
 * A process must be born in its cgroup, or it could fork out of it before it is moved. So the spawner itself lives in the
 * cgroup of the next tree, and moves on to a fresh one after the start: lazily, because a move takes 5 to 20 ms on a quiet
 * machine (0.2 ms in a burst), and a tree that ended by then has left its cgroup to the next. We are never in a cgroup while
 * it is killed or frozen: everything here is synchronous, and {@link Cgroups.kill} and {@link Cgroups.freeze} look first.
 */
export class Cgroups {
  readonly folder: string;
  readonly canLimitPids: boolean;
  /** Ends what lives in them when we end. */
  readonly guard: Guard | undefined;
  readonly memory: MemoryLimits;
  readonly #base: string;
  /** Where a number of processes is limited in a hierarchy of its own: ours there, and the folder below it, made when needed. */
  readonly #limits: { base: string; folder: string } | undefined;
  readonly #say: (message: string) => void;
  readonly #leftBehind = new Set<string>();
  #count = 0;
  #home: Cgroup | undefined;
  #isHomeTaken = false;
  #lingering: NodeJS.Timeout | undefined;

  /** Undefined: this machine has no cgroup v2 that we may use, or one that can not kill or freeze. */
  static make(agent: string, say: (message: string) => void): Cgroups | undefined {
    const base = ownCgroup();
    if (base === undefined) return undefined;
    const name = `navvy-${agent.replaceAll(/[^\w.-]/g, "_").slice(0, 64)}-${process.pid}`;
    const cgroups = new Cgroups(base, name, say);
    if (cgroups.#works()) return cgroups;
    cgroups.close();
    return undefined;
  }

  private constructor(base: string, name: string, say: (message: string) => void) {
    this.#base = base;
    this.#say = say;
    this.folder = join(base, name);
    const isOurs = tryMake(this.folder);
    // Only where it was given to us: given on by ourselves, nobody could be moved into our own cgroup any more (docker exec is).
    const hasPids = /\bpids\b/.test(tryRead(join(this.folder, "cgroup.controllers"))) && this.#giveOn("+pids");
    const pids = hasPids ? undefined : ownCgroupV1("pids");
    if (pids !== undefined && canMake(pids)) this.#limits = { base: pids, folder: join(pids, name) };
    this.canLimitPids = hasPids || this.#limits !== undefined;
    this.memory = new MemoryLimits(this.folder, name);
    // Before we move into it ourselves.
    const limits = [this.#limits?.folder, this.memory.folder].filter((each) => each !== undefined);
    if (isOurs) this.guard = new Guard({ cgroups: this.folder, limits });
  }

  /** Has a tree born in a cgroup of its own: whatever `start` forks. Undefined: there is none to be had now. */
  bear(start: () => void, maxPids?: number): Cgroup | undefined {
    if (this.#home === undefined || this.#isHomeTaken) this.#moveOn();
    const cgroup = this.#isHomeTaken ? undefined : this.#home;
    if (cgroup !== undefined) this.#isHomeTaken = true;
    if (cgroup !== undefined && maxPids !== undefined && cgroup.limits === undefined) this.#enterLimits(cgroup);
    start();
    if (cgroup !== undefined && maxPids !== undefined) limit(cgroup, maxPids);
    // Also when we are stuck in a tree's cgroup: tried again then.
    if (this.#isHomeTaken) this.#lingering ??= setTimeout(() => this.#moveOn(), LINGER_MS);
    return cgroup;
  }

  /** False: this cgroup can not be used, because we are in it ourselves and can not leave. */
  kill(cgroup: Cgroup): boolean {
    return this.#isOutside(cgroup) && tryWrite(join(cgroup.folder, "cgroup.kill"), "1");
  }

  /** False: as with `kill`. */
  freeze(cgroup: Cgroup): boolean {
    return this.#isOutside(cgroup) && tryWrite(join(cgroup.folder, "cgroup.freeze"), "1");
  }

  thaw(cgroup: Cgroup): void {
    tryWrite(join(cgroup.folder, "cgroup.freeze"), "0");
  }

  pids(cgroup: Cgroup): number[] {
    return this.#members(cgroup).filter((pid) => pid !== process.pid);
  }

  /** No process but ours lives in it or in a cgroup that the tree made there. */
  isEmpty(cgroup: Cgroup): boolean {
    // The dear look only while we are in it: with us it is always populated.
    return cgroup === this.#home ? this.#isAlone(cgroup) : !isPopulated(cgroup.folder);
  }

  /** Its tree is gone. */
  retire(cgroup: Cgroup): void {
    const { folder, limits } = cgroup;
    if (cgroup !== this.#home) {
      if (limits !== undefined && limits !== folder) this.#remove(limits);
      return this.#remove(folder);
    }
    if (limits !== undefined) setMax(limits, "max");
    this.#home = limits === undefined ? { folder } : { folder, limits };
    this.#isHomeTaken = false;
    clearTimeout(this.#lingering);
    this.#lingering = undefined;
  }

  /** Leaves no folder behind. Nothing is killed here. */
  close(): void {
    clearTimeout(this.#lingering);
    moveTo(this.#base);
    if (this.#limits !== undefined) moveTo(this.#limits.base);
    this.#home = undefined;
    this.memory.close();
    for (const folder of [this.folder, ...(this.#limits === undefined ? [] : [this.#limits.folder])]) this.#remove(folder);
    for (const folder of this.#leftBehind) this.#say(`the cgroup could not be removed: ${folder}`);
  }

  #giveOn(controller: string): boolean {
    return tryWrite(join(this.folder, "cgroup.subtree_control"), controller);
  }

  #works(): boolean {
    this.#moveOn();
    const first = this.#home;
    if (first === undefined) return false;
    this.#moveOn();
    const hasLeft = this.#home !== undefined && this.#home !== first;
    const canFreeze = hasLeft && this.freeze(first) && /^frozen 1$/m.test(tryRead(join(first.folder, "cgroup.events")));
    this.thaw(first);
    const isUsable = canFreeze && this.kill(first);
    this.#remove(first.folder);
    return isUsable;
  }

  /** Once a tree was limited we keep a place for the next one's limit too, so that entering it is off the way to its start. */
  #enterLimits(cgroup: Cgroup): void {
    if (!this.canLimitPids) return;
    if (this.#limits === undefined) {
      cgroup.limits = cgroup.folder;
      return;
    }
    tryMake(this.#limits.folder);
    const folder = join(this.#limits.folder, String(++this.#count));
    if (tryMake(folder) && moveTo(folder)) cgroup.limits = folder;
    else this.#say(`the number of processes of a tree can not be limited: ${folder}`);
  }

  #moveOn(): void {
    clearTimeout(this.#lingering);
    this.#lingering = undefined;
    const former = this.#home;
    const folder = join(this.folder, String(++this.#count));
    if (tryMake(folder) && moveTo(folder)) {
      this.#home = { folder };
      this.#isHomeTaken = false;
    } else if (moveTo(this.#base)) this.#home = undefined;
    else return this.#say(`can not leave the cgroup ${former?.folder}: its tree is held together by its process group`);
    if (former !== undefined) this.#leaveLimits(former);
  }

  #leaveLimits({ limits, maxPids }: Cgroup): void {
    if (limits === undefined) return;
    if (this.#home !== undefined) this.#enterLimits(this.#home);
    if (this.#limits !== undefined && this.#home?.limits === undefined) moveTo(this.#limits.base);
    // From now on nobody is there but the tree.
    if (maxPids !== undefined) setMax(limits, String(maxPids));
  }

  #isOutside(cgroup: Cgroup): boolean {
    const isInside = () => this.#members(cgroup).includes(process.pid);
    if (isInside()) this.#moveOn();
    return !isInside();
  }

  #isAlone(cgroup: Cgroup): boolean {
    const members = this.#members(cgroup);
    if (members.length !== 1 || members[0] !== process.pid) return false;
    // A tree may have made cgroups below its own.
    return /^nr_descendants 0$/m.test(tryRead(join(cgroup.folder, "cgroup.stat")));
  }

  /** Those of other process namespaces have no number here. */
  #members(cgroup: Cgroup): number[] {
    return tryRead(join(cgroup.folder, "cgroup.procs"))
      .split("\n")
      .map(Number)
      .filter((pid) => pid > 0);
  }

  /** What a dying process keeps for a moment longer is removed later. */
  #remove(folder: string): void {
    this.#leftBehind.add(folder);
    for (const one of this.#leftBehind) {
      try {
        removeCgroup(one);
        this.#leftBehind.delete(one);
      } catch {
        // Tried again with the next one, and at the end.
      }
    }
  }
}

/** While we are there the limit is ours too; the exact one is set when we leave. */
function limit(cgroup: Cgroup, maxPids: number): void {
  if (cgroup.limits === undefined) return;
  cgroup.maxPids = maxPids;
  setMax(cgroup.limits, String(maxPids + OUR_THREADS));
}

function setMax(folder: string, max: string): void {
  tryWrite(join(folder, "pids.max"), max);
}

/** Moves the whole process, all its threads. */
function moveTo(folder: string): boolean {
  return tryWrite(join(folder, "cgroup.procs"), String(process.pid));
}

function canMake(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    // As below.
    return false;
  }
}

function tryMake(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch {
    // It is there, or a read-only mount, no permission, too many of them: the caller has another way.
    return false;
  }
}
