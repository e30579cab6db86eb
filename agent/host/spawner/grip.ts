import type { Cgroups } from "./cgroups.js";
import { type Found, groupOf, sendSignal } from "./processes.js";
import type { Tree } from "./tree.js";

/** How often a round looks for processes that were born while it went about. */
const ROUNDS = 5;

/**
 * How trees are got hold of: by their cgroup where they have one, else by process group and, for whoever left the group, by the
 * marker in the environment. A container beside that by its engine: what is in the tree's own cgroup is the command attached to it.
 */
export class Grip {
  readonly #cgroups: Cgroups | undefined;
  readonly #look: () => Found;

  /** @param look finds the processes of all attempts by their marker */
  constructor(cgroups: Cgroups | undefined, look: () => Found) {
    this.#cgroups = cgroups;
    this.#look = look;
  }

  /** Has whatever `start` forks belong to the tree. */
  bear(tree: Tree, start: () => void): void {
    if (this.#cgroups === undefined) return start();
    tree.cgroup = this.#cgroups.bear(start, tree.request.maxPids);
    if (tree.state === "gone") return this.letGo(tree);
    const { cgroup } = tree;
    const { maxMemoryBytes } = tree.request;
    if (cgroup === undefined || maxMemoryBytes === undefined) return;
    tree.memory = this.#cgroups.memory.hold({ folder: cgroup.folder, pids: () => this.#cgroups?.pids(cgroup) ?? [] }, maxMemoryBytes);
  }

  stop(trees: readonly Tree[]): void {
    for (const { container } of trees) container?.pause();
    for (const tree of trees) if (tree.cgroup !== undefined && !this.#cgroups?.freeze(tree.cgroup)) tree.cgroup = undefined;
    this.#signalAll(
      trees.filter(({ cgroup }) => cgroup === undefined),
      "SIGSTOP",
    );
  }

  goOn(trees: readonly Tree[]): void {
    for (const { cgroup } of trees) if (cgroup !== undefined) this.#cgroups?.thaw(cgroup);
    for (const { container } of trees) container?.resume();
    this.#signalAll(
      trees.filter(({ cgroup }) => cgroup === undefined),
      "SIGCONT",
    );
  }

  /** SIGKILL to everyone. What a tree moved out of its cgroup is found by the marker: that is the caller's hunt. */
  kill(tree: Tree): void {
    tree.container?.remove();
    this.killGroup(tree);
  }

  /** What is in its cgroup, or its process group. */
  killGroup(tree: Tree): void {
    if (tree.cgroup !== undefined && !this.#cgroups?.kill(tree.cgroup)) tree.cgroup = undefined;
    if (tree.cgroup === undefined) this.signalGroup(tree, "SIGKILL");
  }

  /** Nobody is left, as far as that can be told without a walk over all processes; undefined: it can not. */
  isEmpty(tree: Tree): boolean | undefined {
    if (tree.container?.isOver === false) return false;
    return tree.cgroup && this.#cgroups?.isEmpty(tree.cgroup);
  }

  /** The tree is gone. */
  letGo(tree: Tree): void {
    tree.memory?.release();
    tree.memory = undefined;
    if (tree.cgroup !== undefined) this.#cgroups?.retire(tree.cgroup);
    tree.cgroup = undefined;
  }

  /**
   * Asks everyone of the trees to end, or wakes those that stopped themselves. The engine's command that is attached to a container is
   * not asked: it would leave its container alone.
   */
  signal(trees: readonly Tree[], signal: "SIGTERM" | "SIGCONT"): void {
    for (const { container } of trees) if (signal === "SIGTERM") container?.signal(signal);
    this.#signalAll(
      trees.filter(({ container }) => container === undefined),
      signal,
    );
  }

  /** One signal to the main group of a tree, or to the container. */
  signalMain(tree: Tree, signal: NodeJS.Signals): void {
    if (tree.container === undefined) return this.signalGroup(tree, signal);
    if (signal === "SIGKILL") tree.container.remove();
    else tree.container.signal(signal);
  }

  /** In one call. Once a main process was waited for, its number may be another's. */
  signalGroup({ pid, state }: Tree, signal: NodeJS.Signals): void {
    if (pid !== null && state === "running") sendSignal(-pid, signal);
  }

  /** The groups first; then whoever left them, until a round meets nobody new. */
  #signalAll(trees: readonly Tree[], signal: NodeJS.Signals): void {
    for (const tree of trees) this.signalGroup(tree, signal);
    const met = new Set<number>();
    for (let round = 0; round < ROUNDS && trees.length > 0; round++) {
      const fresh = this.#fugitives(trees).filter((pid) => !met.has(pid));
      if (fresh.length === 0) return;
      for (const pid of fresh) sendSignal(pid, signal);
      for (const pid of fresh) met.add(pid);
    }
  }

  /** A program must not get a signal twice: a second SIGTERM often means "at once". */
  #fugitives(trees: readonly Tree[]): number[] {
    const found = trees.some(({ cgroup }) => cgroup === undefined) ? this.#look() : undefined;
    const pidsOf = ({ cgroup, request }: Tree) => (cgroup ? this.#cgroups?.pids(cgroup) : found?.get(request.key)) ?? [];
    return trees.flatMap((tree) => pidsOf(tree).filter((pid) => groupOf(pid) !== tree.pid));
  }
}
