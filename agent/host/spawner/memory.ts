import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { ownCgroupV1, removeCgroup, tryRead, tryWrite } from "../cgroup.js";

/** Not before we have left the cgroup of a tree that was just started: what is short there is killed, and that may be us. */
const AFTER_MS = 30;
const ROUNDS = 5;

/** What keeps one tree within its memory. */
export interface MemoryHold {
  /** The kernel has ended something of it for want of memory. */
  hasKilled(): boolean;
  /** Its tree is gone. */
  release(): void;
}

/** A tree to be held: its own cgroup, and who is in it. */
export interface HeldTree {
  folder: string;
  pids(): number[];
}

/**
 * Limits the memory of trees: in their own cgroups where those have the controller, else in the hierarchy of that controller alone,
 * into which a tree is moved right after its start.
 */
export class MemoryLimits {
  readonly #ownFolder: string | undefined;
  readonly #v1: { folder: string } | undefined;
  #count = 0;

  /** @param cgroups folder of the spawner's cgroups; @param name what its folder in another hierarchy is called */
  constructor(cgroups: string, name: string) {
    const has = /\bmemory\b/.test(tryRead(join(cgroups, "cgroup.controllers")));
    if (has && tryWrite(join(cgroups, "cgroup.subtree_control"), "+memory")) {
      this.#ownFolder = cgroups;
      return;
    }
    const base = ownCgroupV1("memory");
    if (base !== undefined) this.#v1 = { folder: join(base, name) };
  }

  /** Where the limits are in a hierarchy of their own. */
  get folder(): string | undefined {
    return this.#v1?.folder;
  }

  /** Undefined: it can not be limited on this machine. */
  hold(tree: HeldTree, maxBytes: number): MemoryHold | undefined {
    if (this.#ownFolder !== undefined) return holdOwn(tree, maxBytes);
    return this.#v1 && this.#holdBeside(this.#v1.folder, tree, maxBytes);
  }

  /** Leaves no folder behind. */
  close(): void {
    if (this.#v1 === undefined) return;
    try {
      removeCgroup(this.#v1.folder);
    } catch {
      // Something dies in it still: our guard tries again.
    }
  }

  #holdBeside(base: string, tree: HeldTree, maxBytes: number): MemoryHold | undefined {
    const folder = join(base, String(++this.#count));
    try {
      mkdirSync(folder, { recursive: true });
    } catch {
      return undefined; // a read-only mount, or no permission
    }
    const timer = setTimeout(() => moveInto(folder, tree, maxBytes), AFTER_MS);
    const release = () => {
      clearTimeout(timer);
      try {
        rmdirSync(folder);
      } catch {
        // What a dying process keeps for a moment goes at the end.
      }
    };
    return { hasKilled: () => countIn(join(folder, "memory.oom_control")) > 0, release };
  }
}

function holdOwn({ folder }: HeldTree, maxBytes: number): MemoryHold {
  // A cgroup may have served a short tree before.
  const before = countIn(join(folder, "memory.events"));
  const set = (max: string) => {
    tryWrite(join(folder, "memory.max"), max);
    tryWrite(join(folder, "memory.swap.max"), max === "max" ? max : "0");
  };
  const timer = setTimeout(() => set(String(maxBytes)), AFTER_MS);
  const release = () => {
    clearTimeout(timer);
    set("max");
  };
  return { hasKilled: () => countIn(join(folder, "memory.events")) > before, release };
}

/** Who is born there stays there; so it is over once a round meets nobody new. */
function moveInto(folder: string, tree: HeldTree, maxBytes: number): void {
  tryWrite(join(folder, "memory.limit_in_bytes"), String(maxBytes));
  tryWrite(join(folder, "memory.memsw.limit_in_bytes"), String(maxBytes));
  const moved = new Set<number>();
  for (let round = 0; round < ROUNDS; round++) {
    const fresh = tree.pids().filter((pid) => !moved.has(pid));
    if (fresh.length === 0) return;
    for (const pid of fresh) {
      tryWrite(join(folder, "cgroup.procs"), String(pid));
      moved.add(pid);
    }
  }
}

function countIn(path: string): number {
  return Number(/^oom_kill (\d+)$/m.exec(tryRead(path))?.[1] ?? 0);
}
