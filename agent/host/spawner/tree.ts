import { writeFileSync } from "node:fs";
import type { Cgroup } from "./cgroups.js";
import type { ContainerGrip } from "./container.js";
import { Countdown } from "./countdown.js";
import type { MemoryHold } from "./memory.js";
import type { StartFailure, StartRequest, TreeState } from "./wire.js";

/** How a main process ended. */
export interface TreeEnd {
  code: number | null;
  signal: string | null;
  isOutOfMemory?: boolean;
}

/** What a tree asks for when one of its deadlines has passed. */
export interface TreeEvents {
  onTimeLimit: () => void;
  onGraceOver: () => void;
}

/**
 * One tree: where it stands, and its two deadlines. Neither counts time in which the tree is frozen.
 *
 *   running ─▶ exited ─▶ gone ─▶ (released) forgotten
 */
export class Tree {
  readonly request: StartRequest;
  readonly grace: Countdown;
  state: TreeState["state"] = "running";
  pid: number | null = null;
  /** Who told it to end first. */
  endedBy: string | undefined;
  /** Its agent has recorded its end. */
  isReleased = false;
  /** Who leaves it later is hunted at once, and not at the next calm sweep. */
  isKilled = false;
  isFrozen = false;
  /** Its agent wants it to stand still for a while, lease or not. */
  isPaused = false;
  /** Undefined: it is held together by process group and marker. */
  cgroup: Cgroup | undefined;
  /** Undefined: its memory is not limited, or can not be. */
  memory: MemoryHold | undefined;
  /** Undefined: it is no container. */
  container: ContainerGrip | undefined;
  readonly #limit: Countdown;
  #end: TreeEnd | undefined;
  #failure: StartFailure | undefined;
  #isWritten = false;

  constructor(request: StartRequest, { onTimeLimit, onGraceOver }: TreeEvents) {
    this.request = request;
    this.grace = new Countdown(onGraceOver);
    this.#limit = new Countdown(onTimeLimit);
  }

  started(pid: number): void {
    this.pid = pid;
    if (this.request.timeLimitMs !== undefined) this.#limit.atMost(this.request.timeLimitMs);
  }

  failed(failure: StartFailure): void {
    this.state = "gone";
    this.#failure = failure;
  }

  /** @returns how, as it is told */
  exited(end: TreeEnd): TreeEnd {
    this.state = "exited";
    const isOutOfMemory = end.signal === "SIGKILL" && this.endedBy === undefined && this.memory?.hasKilled() === true;
    this.#end = { ...end, ...(isOutOfMemory ? { isOutOfMemory } : {}) };
    this.#limit.cancel();
    this.grace.cancel();
    return this.#end;
  }

  /** Halts its deadlines; the caller stops its processes. */
  freeze(): void {
    this.isFrozen = true;
    this.#limit.halt();
    this.grace.halt();
  }

  thaw(): void {
    this.isFrozen = false;
    this.#limit.goOn();
    this.grace.goOn();
  }

  tell(): TreeState {
    const { key, container } = this.request;
    const told = { key, pid: this.pid, state: this.state, ...this.#end, ...(container && { container }) };
    return { ...told, ...(this.endedBy && { endedBy: this.endedBy }), ...(this.#failure && { failure: this.#failure }) };
  }

  /** Keeps its end for an agent that finds neither us nor it any more. Once is enough. */
  writeExitFile(): void {
    if (this.#end === undefined || this.#isWritten) return;
    this.#isWritten = true;
    try {
      // One small write: it is there whole or not at all.
      const text = JSON.stringify({ ...this.#end, endedBy: this.endedBy, at: new Date().toISOString() });
      writeFileSync(this.request.exitFile, `${text}\n`, { mode: 0o600 });
    } catch {
      // A full disk or a removed folder: an agent that comes in time is told over the socket all the same.
    }
  }
}
