import { monotonicMs } from "./wire.js";

/** Longest delay that a timer of Node takes. */
const LONGEST_MS = 2 ** 31 - 1;

/** Calls back once a moment of the monotonic clock has passed, unless it was moved before. */
export class Deadline {
  readonly #onPassed: () => void;
  #atMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(onPassed: () => void) {
    this.#onPassed = onPassed;
  }

  /** Undefined: no deadline. */
  moveTo(atMs: number | undefined): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#atMs = atMs;
    if (atMs === undefined) return;
    const leftMs = atMs - monotonicMs();
    if (leftMs <= 0) this.#pass();
    else this.#timer = setTimeout(() => this.moveTo(atMs), Math.min(Math.ceil(leftMs), LONGEST_MS));
  }

  /** Acts on a moment that has passed while we stood still: other news may be read before an overdue timer fires. */
  check(): void {
    if (this.#atMs !== undefined && this.#atMs <= monotonicMs()) this.moveTo(this.#atMs);
  }

  #pass(): void {
    this.#atMs = undefined;
    this.#onPassed();
  }
}
