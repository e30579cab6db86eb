import { type Found, ProcessTable, sendSignal, type Walk } from "./processes.js";
import { monotonicMs } from "./wire.js";

/** Between two walks for trees that ended by themselves. */
const CALM_MS = 1_000;
/** Between two walks while something that was killed is still there. */
const FIRST_RETRY_MS = 4;
const LAST_RETRY_MS = 100;

/**
 * How many walks must meet nobody before a tree is gone: a complete one tells as much as five that others' coming and going
 * disturbed. Of a tree of which somebody was met it takes two: on the run it may get a lower number than a walk had come to.
 */
const CALM = 5;
const FLEEING = 2 * CALM;

/** What the reaper asks and tells. */
export interface ReaperOptions {
  /** Whether the main process of that tree has been waited for. */
  isEnded: (key: string) => boolean;
  onGone: (key: string) => void;
}

/**
 * Sees trees to their end: kills what still carries the key of a leaving attempt until nothing does.
 *
 * A walk over all processes is dear, so one serves every attempt that is leaving. Those that ended by themselves hardly
 * ever leave anyone behind and wait for a walk at most {@link CALM_MS}; those that are killed are looked after at once.
 */
export class Reaper {
  readonly #options: ReaperOptions;
  readonly #table = new ProcessTable();
  readonly #leaving = new Set<string>();
  /** How far a leaving tree is from being taken for gone. */
  readonly #doubts = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #walkedAtMs = Number.NEGATIVE_INFINITY;
  #retryMs = FIRST_RETRY_MS;

  constructor(options: ReaperOptions) {
    this.#options = options;
  }

  /** Takes over a tree that ended by itself. */
  sweep(key: string): void {
    this.#leaving.add(key);
    this.#wakeAt(this.#walkedAtMs + CALM_MS);
  }

  /** Takes over a tree that is being killed. */
  hunt(key: string): void {
    this.#leaving.add(key);
    this.#retryMs = FIRST_RETRY_MS;
    this.#wakeAt(monotonicMs());
  }

  /** Processes of all attempts on this machine, now. */
  look(): Found {
    return this.#table.walk().found;
  }

  #wakeAt(atMs: number): void {
    if (atMs >= this.#dueAtMs) return;
    this.#dueAtMs = atMs;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#walk(), Math.max(0, Math.ceil(atMs - monotonicMs())));
  }

  #walk(): void {
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    const walk = this.#table.walk();
    this.#walkedAtMs = monotonicMs();
    for (const key of this.#leaving) this.#check(key, walk);
    if (this.#leaving.size === 0) {
      this.#retryMs = FIRST_RETRY_MS;
      return;
    }
    this.#wakeAt(this.#walkedAtMs + this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }

  #check(key: string, { found, isComplete }: Walk): void {
    const pids = found.get(key) ?? [];
    for (const pid of pids) sendSignal(pid, "SIGKILL");
    if (pids.length > 0) {
      this.#doubts.set(key, FLEEING);
      return;
    }
    const doubt = (this.#doubts.get(key) ?? CALM) - (isComplete ? CALM : 1);
    this.#doubts.set(key, doubt);
    if (doubt > 0 || !this.#options.isEnded(key)) return;
    this.#doubts.delete(key);
    this.#leaving.delete(key);
    this.#options.onGone(key);
  }
}
