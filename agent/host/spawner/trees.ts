import { writeFileSync } from "node:fs";
import { constants } from "node:os";
import { launch } from "./launch.js";
import { sendSignal } from "./processes.js";
import { Reaper } from "./reaper.js";
import type { Notice, StartRequest } from "./wire.js";

interface Tree {
  pid: number;
  isEnded: boolean;
  isKilled: boolean;
}

/** How often freezing looks for processes that were born while it went round. */
const FREEZE_ROUNDS = 5;

/**
 * The process trees of one agent.
 *
 *   start ─▶ running ─▶ exited ─▶ gone
 *              │  ▲
 *              ▼  │
 *             frozen
 *
 * A tree is the process group of its main process, and whoever left that group but still carries the attempt's key.
 */
export class Trees {
  readonly #send: (notice: Notice) => void;
  readonly #isHeard: () => boolean;
  readonly #trees = new Map<string, Tree>();
  readonly #held = new Map<string, StartRequest>();
  readonly #reaper: Reaper;
  #isFrozen = false;
  #onEmpty: (() => void) | undefined;

  /** @param isHeard whether an agent is connected: only when nobody hears does an end go into its exit file */
  constructor(send: (notice: Notice) => void, isHeard: () => boolean) {
    this.#send = send;
    this.#isHeard = isHeard;
    this.#reaper = new Reaper({ isEnded: (key) => this.#trees.get(key)?.isEnded ?? true, onGone: (key) => this.#forget(key) });
  }

  /** While the trees are frozen a start is held back: nothing may run without a lease. When all are killed it is dropped. */
  start(request: StartRequest): void {
    const { key } = request;
    if (this.#onEmpty !== undefined) return;
    if (this.#trees.has(key) || this.#held.has(key)) {
      this.#send({ event: "failed", key, errno: "EEXIST", message: `an attempt with the key ${key} is already running` });
      return;
    }
    if (this.#isFrozen) {
      this.#held.set(key, request);
      return;
    }
    launch(request, {
      started: (pid) => {
        this.#trees.set(key, { pid, isEnded: false, isKilled: false });
        this.#send({ event: "started", key, pid });
      },
      failed: (failure) => this.#send({ event: "failed", key, ...failure }),
      exited: (code, signal) => this.#ended(request, { code, signal }),
    });
  }

  signal(key: string, signal: string): void {
    const tree = this.#trees.get(key);
    if (tree === undefined || tree.isEnded || !(signal in constants.signals)) return;
    sendSignal(-tree.pid, signal as NodeJS.Signals);
    // A frozen tree acts on it when it is thawed, not before: nothing may run without a lease. SIGKILL needs no thaw.
  }

  /** Also for a key that was never started here: whoever carries it is left over from an earlier run. */
  kill(key: string): void {
    const held = this.#held.get(key);
    if (held !== undefined) this.#drop(held);
    const tree = this.#trees.get(key);
    if (tree !== undefined) {
      tree.isKilled = true;
      // Once its main process was waited for, the number may belong to someone else.
      if (!tree.isEnded) sendSignal(-tree.pid, "SIGKILL");
    }
    this.#reaper.hunt(key);
  }

  /** Kills everything and calls back once nothing is left. */
  killAll(onEmpty: () => void): void {
    this.#onEmpty = onEmpty;
    for (const key of [...this.#held.keys(), ...this.#trees.keys()]) this.kill(key);
    if (this.#trees.size === 0) onEmpty();
  }

  freeze(): void {
    if (this.#isFrozen) return;
    this.#isFrozen = true;
    this.#signalEveryone("SIGSTOP");
    this.#send({ event: "frozen" });
  }

  thaw(): void {
    if (!this.#isFrozen) return;
    this.#isFrozen = false;
    this.#signalEveryone("SIGCONT");
    this.#send({ event: "thawed" });
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const request of held) this.start(request);
  }

  /** The groups first, in one call each; then whoever left them, until a round meets nobody new. */
  #signalEveryone(signal: "SIGSTOP" | "SIGCONT"): void {
    for (const tree of this.#trees.values()) {
      if (!tree.isEnded) sendSignal(-tree.pid, signal);
    }
    const met = new Set<number>();
    for (let round = 0; round < FREEZE_ROUNDS && this.#trees.size > 0; round++) {
      const fresh = [...this.#reaper.look()].flatMap(([key, pids]) => (this.#trees.has(key) ? pids : [])).filter((pid) => !met.has(pid));
      if (fresh.length === 0) return;
      for (const pid of fresh) sendSignal(pid, signal);
      for (const pid of fresh) met.add(pid);
    }
  }

  #ended(request: StartRequest, end: { code: number | null; signal: string | null }): void {
    const tree = this.#trees.get(request.key);
    if (tree === undefined) throw new Error(`${request.key} ended but was never started`);
    tree.isEnded = true;
    // Empty for nearly every task: one system call. The number can not have been given out again yet.
    sendSignal(-tree.pid, "SIGKILL");
    // A file costs more than the whole rest of a short task here; an agent that hears of the end needs none.
    if (!this.#isHeard()) writeExitFile(request.exitFile, end);
    this.#send({ event: "exited", key: request.key, ...end });
    if (tree.isKilled) this.#reaper.hunt(request.key);
    else this.#reaper.sweep(request.key);
  }

  #drop({ key }: StartRequest): void {
    this.#held.delete(key);
    this.#send({ event: "failed", key, errno: "ECANCELED", message: `${key} was killed before it was started` });
  }

  #forget(key: string): void {
    this.#trees.delete(key);
    this.#send({ event: "gone", key });
    if (this.#trees.size === 0) this.#onEmpty?.();
  }
}

function writeExitFile(path: string, end: { code: number | null; signal: string | null }): void {
  try {
    // One small write: it is there whole or not at all.
    writeFileSync(path, `${JSON.stringify({ ...end, at: new Date().toISOString() })}\n`, { mode: 0o600 });
  } catch {
    // A full disk or a removed folder: the agent is told over the socket all the same.
  }
}
