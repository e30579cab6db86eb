import { constants } from "node:os";
import type { Cgroups } from "./cgroups.js";
import { ContainerGrip } from "./container.js";
import { engineRunner, type RunEngine } from "./engine.js";
import { Grip } from "./grip.js";
import type { Guard } from "./guard.js";
import { type LaunchEvents, launch } from "./launch.js";
import { Reaper } from "./reaper.js";
import { Tree } from "./tree.js";
import type { Notice, StartFailure, StartRequest, TreeState } from "./wire.js";

/** What the trees of a spawner ask and tell. */
export interface TreesOptions {
  send: (notice: Notice) => void;
  /** Whether an agent is connected: only when nobody hears does an end go into its exit file. */
  isHeard: () => boolean;
  /** A tree is gone or forgotten. */
  onFewer: () => void;
  /** Undefined: none can be made here. */
  cgroups: Cgroups | undefined;
  guard: Guard;
}

/**
 * The process trees of one agent, and those that ended and are not released yet.
 *
 *   start ─▶ running ─▶ exited ─▶ gone ─▶ released
 *              │  ▲
 *              ▼  │
 *             frozen
 *
 * A tree is what lives in its cgroup. Without cgroups it is the process group of its main process, and whoever left that group
 * but still carries the attempt's key.
 */
export class Trees {
  readonly #options: TreesOptions;
  readonly #trees = new Map<string, Tree>();
  readonly #held = new Map<string, StartRequest>();
  readonly #reaper: Reaper;
  readonly #grip: Grip;
  readonly #runEngine: RunEngine;
  #isFrozen = false;
  #isClosed = false;

  constructor(options: TreesOptions) {
    this.#options = options;
    this.#reaper = new Reaper({ isEnded: (key) => this.#isEnded(key), onGone: (key) => this.#gone(key) });
    this.#grip = new Grip(options.cgroups, () => this.#reaper.look());
    this.#runEngine = engineRunner(options.cgroups);
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** Something of them runs. */
  get isAlive(): boolean {
    return this.#live().length > 0;
  }

  /** Nothing runs and nothing waits to be released. */
  get isEmpty(): boolean {
    return this.#trees.size === 0;
  }

  tell(): TreeState[] {
    return [...this.#trees.values()].map((tree) => tree.tell());
  }

  /** While the trees are frozen a start is held back: nothing may run without a lease. Once they are closed it is dropped. */
  start(request: StartRequest): void {
    const { key } = request;
    if (this.#isClosed) return;
    const former = this.#trees.get(key);
    if (this.#held.has(key) || (former !== undefined && former.state !== "gone")) {
      // Not a failure of the tree that has this key: only the asker is told.
      this.#options.send({ event: "failed", key, errno: "EEXIST", message: `an attempt with the key ${key} is already running` });
    } else if (this.#isFrozen) this.#held.set(key, request);
    else this.#launch(request);
  }

  signal(key: string, signal: string): void {
    const tree = this.#running(key);
    // A frozen tree acts on it when it is thawed, not before: nothing may run without a lease. SIGKILL needs no thaw.
    if (tree !== undefined && signal in constants.signals) this.#grip.signalMain(tree, signal as NodeJS.Signals);
  }

  /** SIGTERM now, SIGKILL after the grace. A second wish may shorten the grace; the first cause stays. */
  end(key: string, { graceMs, by }: { graceMs: number; by: string }): void {
    this.#dropHeld([key]);
    const tree = this.#running(key);
    if (tree === undefined) return;
    this.resume(key); // to act on it
    if (tree.endedBy === undefined) {
      tree.endedBy = by;
      this.#grip.signal([tree], "SIGTERM");
      // One that stopped itself could not act on it.
      if (!tree.isFrozen) this.#grip.signal([tree], "SIGCONT");
    }
    tree.grace.atMost(graceMs);
  }

  /** Also for a key that was never started here: whoever carries it is left over from an earlier run. */
  kill(key: string, by = "kill"): void {
    this.#dropHeld([key]);
    const tree = this.#trees.get(key);
    if (tree?.state === "running") tree.endedBy ??= by;
    if (tree !== undefined && tree.state !== "gone") {
      tree.isKilled = true;
      this.#grip.kill(tree);
    }
    this.#reaper.hunt(key);
  }

  /** Its agent has recorded the end: it is forgotten once nothing of it is left. */
  release(key: string): void {
    const tree = this.#trees.get(key);
    if (tree === undefined) return;
    tree.isReleased = true;
    this.#forgetReleased(key, tree);
  }

  /** Has one tree stand still, as long as its agent wants. */
  pause(key: string): void {
    const tree = this.#running(key);
    if (tree === undefined || tree.isPaused || tree.endedBy !== undefined) return;
    tree.isPaused = true;
    if (tree.isFrozen) return;
    tree.freeze();
    this.#grip.stop([tree]);
  }

  /** Ends a pause; without a lease the tree stands still on. */
  resume(key: string): void {
    const tree = this.#running(key);
    if (tree?.isPaused !== true) return;
    tree.isPaused = false;
    if (this.#isFrozen && tree.request.onDisconnect === "freeze") return;
    this.#grip.goOn([tree]);
    tree.thaw();
  }

  freeze(): void {
    if (this.#isFrozen) return;
    this.#isFrozen = true;
    const running = this.#live().filter((tree) => tree.state === "running");
    const stopped = running.filter(({ request, isFrozen }) => request.onDisconnect === "freeze" && !isFrozen);
    for (const tree of stopped) tree.freeze();
    this.#grip.stop(stopped);
    for (const { request } of running) {
      if (request.onDisconnect === "kill") this.#endByDeadline(request.key, "lease", 0);
    }
    this.#options.send({ event: "frozen" });
  }

  thaw(): void {
    if (!this.#isFrozen) return;
    this.#isFrozen = false;
    const stopped = this.#live().filter((tree) => tree.isFrozen && !tree.isPaused);
    this.#grip.goOn(stopped);
    for (const tree of stopped) tree.thaw();
    this.#options.send({ event: "thawed" });
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const request of held) this.start(request);
  }

  /** No agent is there: a start that was held back will not be waited for by the next one, and ends must be found without us. */
  abandon(): void {
    this.#dropHeld([...this.#held.keys()]);
    for (const tree of this.#trees.values()) if (!tree.isReleased) tree.writeExitFile();
  }

  /** Kills all, or all but those of one rule. */
  killAll({ by, except }: { by: string; except?: StartRequest["onDisconnect"] }): void {
    for (const key of [...this.#held.keys()]) this.kill(key, by);
    for (const { request } of this.#live()) if (request.onDisconnect !== except) this.kill(request.key, by);
  }

  /** Takes no more starts. */
  close(): void {
    this.#isClosed = true;
  }

  #isEnded(key: string): boolean {
    const tree = this.#trees.get(key);
    return tree === undefined || (tree.state !== "running" && this.#grip.isEmpty(tree) !== false);
  }

  #live(): Tree[] {
    return [...this.#trees.values()].filter((tree) => tree.state !== "gone");
  }

  #running(key: string): Tree | undefined {
    const tree = this.#trees.get(key);
    return tree?.state === "running" ? tree : undefined;
  }

  #launch(request: StartRequest): void {
    const { key } = request;
    const tree = new Tree(request, {
      onTimeLimit: () => this.#endByDeadline(key, "time_limit", request.graceMs),
      onGraceOver: () => this.kill(key),
    });
    if (request.container !== undefined) tree.container = this.#containerGrip(request);
    this.#trees.set(key, tree);
    const events: LaunchEvents = {
      started: (pid) => {
        tree.started(pid);
        this.#options.send({ event: "started", key, pid });
      },
      failed: (failure) => this.#failed(tree, failure),
      exited: (code, signal) => this.#exited(tree, { code, signal }),
    };
    this.#grip.bear(tree, () => launch(request, events));
  }

  #containerGrip(request: StartRequest): ContainerGrip {
    if (request.container !== undefined) this.#options.guard.watch(request.container.engine);
    const look = () => this.#reaper.look();
    return new ContainerGrip({ request, run: this.#runEngine, look, onOver: () => this.#reaper.hunt(request.key) });
  }

  #endByDeadline(key: string, by: string, graceMs: number): void {
    if (this.#running(key)?.endedBy === undefined) this.#options.send({ event: "ending", key, by });
    if (graceMs > 0) this.end(key, { graceMs, by });
    else this.kill(key, by);
  }

  #failed(tree: Tree, failure: StartFailure): void {
    tree.failed(failure);
    this.#grip.letGo(tree);
    this.#options.send({ event: "failed", key: tree.request.key, ...failure });
    this.#options.onFewer();
  }

  #exited(tree: Tree, end: { code: number | null; signal: string | null }): void {
    const { key } = tree.request;
    tree.container?.detached(end.code);
    const isEmpty = this.#grip.isEmpty(tree);
    // Without a cgroup empty for nearly every task: one system call. The number can not have been given out again yet.
    if (!isEmpty) this.#grip.killGroup(tree);
    const told = tree.exited(end);
    // A file costs more than the whole rest of a short task here; an agent that hears of the end needs none yet.
    if (!this.#options.isHeard()) tree.writeExitFile();
    this.#options.send({ event: "exited", key, ...told, endedBy: tree.endedBy });
    // What is told to end may have fled from its cgroup before; a tree that ended by itself is taken at its word.
    if (isEmpty && tree.endedBy === undefined) this.#gone(key);
    else if (isEmpty === undefined && !tree.isKilled) this.#reaper.sweep(key);
    else this.#reaper.hunt(key);
  }

  #dropHeld(keys: string[]): void {
    for (const key of keys) {
      const request = this.#held.get(key);
      if (request === undefined) continue;
      this.#held.delete(key);
      const tree = new Tree(request, { onTimeLimit: () => {}, onGraceOver: () => {} });
      this.#trees.set(key, tree);
      this.#failed(tree, { errno: "ECANCELED", message: `${key} was ended before it was started` });
    }
  }

  #gone(key: string): void {
    const tree = this.#trees.get(key);
    if (tree !== undefined) {
      tree.state = "gone";
      this.#grip.letGo(tree);
    }
    this.#options.send({ event: "gone", key });
    if (tree !== undefined) this.#forgetReleased(key, tree);
    this.#options.onFewer();
  }

  #forgetReleased(key: string, tree: Tree): void {
    if (!tree.isReleased || tree.state !== "gone") return;
    this.#trees.delete(key);
    this.#options.onFewer();
  }
}
