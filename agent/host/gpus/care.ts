import type { Gpu } from "../../../protocol/index.js";
import { deviceOf, type GpuDevice } from "../../slot-gpus.js";
import type { GpuKeeper } from "../../slots.js";
import type { GpuLocks } from "./locks.js";
import type { GpuReading } from "./reading.js";

export interface GpuCareParts {
  gpus: readonly Gpu[];
  /** All of them as they are right now, by their numbers. Rejects when nothing can be told. */
  look: () => Promise<Map<number, GpuReading>>;
  /** Undefined: shared with whoever else uses them, so neither locks nor others' processes keep a GPU from being given out. */
  locks: GpuLocks | undefined;
  /** One that could not be given out can be now. */
  onFree: () => void;
  log: { info(detail: object, message: string): void; warn(detail: object, message: string): void };
  /** How long memory may take to come back after a task. Default 5,000. */
  settleMs?: number;
  /** When one that is set aside is looked at again. Default 5,000. */
  againMs?: number;
}

/** What was seen is good for this long: a GPU is looked at right before it is given out, unless it just was. */
const FRESH_MS = 2_000;
const SETTLE_EVERY_MS = 250;
const LOCKS_EVERY_MS = 1_000;
const GIB = 2 ** 30;
/** A GPU that nobody computes on may have this much of its memory in use: drivers and screens take some. */
const IDLE_SHARE = 0.05;

interface State {
  gpu: Gpu;
  /** Its number now: it moves when another GPU falls off the bus. */
  now: number;
  isHeld: boolean;
  /** The task that had it last, until it was seen to be well again. */
  left?: { task: string; at: number } | undefined;
  task: string;
  /** When the look that is behind what follows was over. */
  lookedAt: number;
  aside?: string | undefined;
  /** By whom else on this host. */
  lockedBy?: string | undefined;
}

/**
 * Says which GPUs may be given out. One that its vendor's tool does not tell of (it hangs, fails, does not list it), that a
 * foreign process computes on, or whose memory did not come back after a task, is set aside with the reason, looked at again,
 * and given back when it is well. What is held is not judged: its task may do with it what it likes.
 */
export class GpuCare implements GpuKeeper {
  readonly #parts: GpuCareParts;
  readonly #states: Map<number, State>;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Somebody asked, and went on without waiting for the answer. */
  #isLate = false;
  #isStopped = false;

  constructor(parts: GpuCareParts) {
    this.#parts = parts;
    this.#states = new Map(
      parts.gpus.map((gpu) => [gpu.index, { gpu, now: gpu.index, isHeld: false, task: "", lookedAt: Number.NEGATIVE_INFINITY }]),
    );
    if (parts.gpus.length > 0) this.#lookSoon();
  }

  whyNot(gpu: Gpu): string | undefined {
    const state = this.#state(gpu);
    if (!state) return "it is not this agent's";
    if (state.left) return "its memory is still to come back";
    // Being looked at for who asks now: what it was seen to be is too old to be relied on.
    if (this.#looking && !isFresh(state)) return "it is being looked at";
    return this.whyAside(gpu);
  }

  whyAside(gpu: Gpu): string | undefined {
    const state = this.#state(gpu);
    return state?.lockedBy ?? state?.aside;
  }

  async look(limitMs: number): Promise<void> {
    if (this.#free().every(isFresh)) return;
    this.#refresh();
    let late: NodeJS.Timeout | undefined;
    const isOver = new Promise<void>((resolve) => (late = setTimeout(resolve, limitMs))).then(() => void (this.#isLate = true));
    await Promise.race([this.#looking, isOver]);
    clearTimeout(late);
  }

  hold(gpu: Gpu, task: string): GpuDevice | undefined {
    const state = this.#state(gpu);
    if (!state || state.isHeld || !isFresh(state) || this.whyNot(gpu) !== undefined) return undefined;
    if (!this.#lock(gpu, task)) {
      state.lockedBy = "another agent on this host was faster";
      this.#schedule();
      return undefined;
    }
    Object.assign(state, { isHeld: true, task });
    return deviceOf({ ...gpu, index: state.now }, gpu.index);
  }

  keep(gpu: Gpu, task: string): void {
    const state = this.#state(gpu);
    if (!state) return;
    Object.assign(state, { isHeld: true, task, aside: undefined });
    if (!this.#lock(gpu, task))
      this.#parts.log.warn({ gpu: gpu.index, task }, "a GPU that an adopted task uses is held by another agent too");
  }

  release(gpu: Gpu): void {
    const state = this.#state(gpu);
    if (!state?.isHeld) return;
    const { task } = state;
    Object.assign(state, { isHeld: false, left: this.#parts.locks ? { task, at: performance.now() } : undefined });
    this.#parts.locks?.release(nameOf(gpu));
    this.#lookSoon();
  }

  /** Once what an earlier run left is taken up: its other locks are given back. */
  async settled(): Promise<void> {
    const held = [...this.#states.values()].filter((state) => state.isHeld);
    await this.#parts.locks
      ?.releaseAllBut(held.map(({ gpu }) => nameOf(gpu)))
      .catch((error: unknown) => this.#parts.log.warn({ err: error }, "locks of an earlier run could not be given back"));
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #state(gpu: Gpu): State | undefined {
    return this.#states.get(gpu.index);
  }

  #free(): State[] {
    return [...this.#states.values()].filter((state) => !state.isHeld);
  }

  #lock(gpu: Gpu, task: string): boolean {
    const { locks, log } = this.#parts;
    try {
      return locks?.take(nameOf(gpu), task) ?? true;
    } catch (error) {
      log.warn({ err: error, gpu: gpu.index }, "a GPU's lock can not be written: it is given to nobody");
      return false;
    }
  }

  #refresh(): void {
    if (this.#isStopped) return;
    if (this.#looking) return;
    const blocked = this.#free().filter(isBlocked);
    this.#looking = this.#lookAtAll().finally(() => {
      this.#looking = undefined;
      this.#schedule();
      if (this.#isLate || blocked.some((state) => !isBlocked(state))) this.#parts.onFree();
      this.#isLate = false;
    });
  }

  async #lookAtAll(): Promise<void> {
    const from = performance.now();
    const [seen] = await Promise.all([
      this.#parts.look().catch((error: unknown) => (error instanceof Error ? error.message : String(error))),
      this.#readLocks(),
    ]);
    for (const state of this.#free()) {
      const reading = typeof seen === "string" ? seen : (seen.get(state.gpu.index) ?? "its tool does not show it any more");
      this.#judge(state, reading, from);
    }
  }

  /** A look that began before a task left it says nothing about what it left. */
  #judge(state: State, reading: GpuReading | string, from: number): void {
    const { log, settleMs = SETTLE_MS } = this.#parts;
    const before = state.aside;
    const wrong = typeof reading === "string" ? reading : this.#parts.locks && whatIsWrong(reading);
    if (typeof reading !== "string") state.now = reading.index;
    state.lookedAt = performance.now();
    const { left } = state;
    if (left && from < left.at) return;
    const isWaitedFor = wrong !== undefined && left !== undefined && performance.now() - left.at < settleMs;
    if (isWaitedFor) return;
    const since =
      left && wrong !== undefined ? `, ${Math.round((performance.now() - left.at) / 1000)} s after task ${left.task.slice(-6)}` : "";
    state.left = undefined;
    state.aside = wrong === undefined ? undefined : keepSince(`${wrong}${since}`, before, wrong);
    if (state.aside !== undefined && before === undefined) log.warn({ gpu: state.gpu.index, reason: state.aside }, "a GPU is set aside");
    else if (state.aside === undefined && before !== undefined) log.info({ gpu: state.gpu.index }, "a GPU is well again");
  }

  async #readLocks(): Promise<void> {
    const { locks } = this.#parts;
    if (!locks) return;
    for (const state of this.#free()) {
      const holder = await locks.holder(nameOf(state.gpu)).catch(() => undefined);
      state.lockedBy = holder && `agent ${holder.agent} on this host holds it${holder.task ? ` for task ${holder.task.slice(-6)}` : ""}`;
    }
  }

  #lookSoon(): void {
    this.#after(0, () => this.#refresh());
  }

  /** What is not as it should be is looked at again: soon after a task, seldom when set aside; locks cost next to nothing. */
  #schedule(): void {
    const free = this.#free();
    const { againMs = AGAIN_MS } = this.#parts;
    if (free.some((state) => state.left)) this.#after(SETTLE_EVERY_MS, () => this.#refresh());
    else if (free.some((state) => state.aside !== undefined)) this.#after(againMs, () => this.#refresh());
    else if (free.some((state) => state.lockedBy !== undefined)) this.#after(LOCKS_EVERY_MS, () => void this.#lookAtLocks());
  }

  async #lookAtLocks(): Promise<void> {
    const before = this.#free().filter((state) => state.lockedBy !== undefined);
    await this.#readLocks();
    this.#schedule();
    if (before.some((state) => state.lockedBy === undefined)) this.#parts.onFree();
  }

  #after(delayMs: number, act: () => void): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, delayMs).unref();
  }
}

const SETTLE_MS = 5_000;
const AGAIN_MS = 5_000;

function isBlocked({ left, aside, lockedBy }: State): boolean {
  return left !== undefined || aside !== undefined || lockedBy !== undefined;
}

function isFresh(state: State): boolean {
  return performance.now() - state.lookedAt < FRESH_MS;
}

/** Names a GPU to all agents of the host. */
function nameOf(gpu: Gpu): string {
  return `${gpu.vendor ?? "nvidia"}-${gpu.uuid ?? gpu.index}`;
}

/** Undefined for one that can be given out. */
function whatIsWrong({ processes, memoryTotalBytes, memoryUsedBytes }: GpuReading): string | undefined {
  const [first] = processes ?? [];
  if (first) {
    const others = (processes?.length ?? 1) - 1;
    return `process ${first.pid}${first.name ? ` (${first.name})` : ""} computes on it${others > 0 ? `, and ${others} more` : ""}, which is none of navvy's tasks`;
  }
  if (memoryTotalBytes === undefined || memoryUsedBytes === undefined) return undefined;
  if (memoryUsedBytes <= Math.max(GIB, memoryTotalBytes * IDLE_SHARE)) return undefined;
  const gib = (bytes: number) => (bytes / GIB).toFixed(1);
  return `${gib(memoryUsedBytes)} of its ${gib(memoryTotalBytes)} GiB are in use${processes ? ", and no process shows" : ""}`;
}

/** What was said of the task that left it so stays said while the same is wrong. */
function keepSince(now: string, before: string | undefined, wrong: string): string {
  return before?.startsWith(`${wrong}, `) ? before : now;
}
