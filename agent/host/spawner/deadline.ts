import { monotonicMs } from "./wire.js";

/** Longest delay that a timer of Node takes. */
const LONGEST_MS = 2 ** 31 - 1;

/** Calls back once a moment of the monotonic clock has passed, unless it was moved before. */
export class Deadline {
  readonly #onPassed: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(onPassed: () => void) {
    this.#onPassed = onPassed;
  }

  /** Undefined: no deadline. */
  moveTo(atMs: number | undefined): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (atMs === undefined) return;
    const leftMs = atMs - monotonicMs();
    if (leftMs <= 0) this.#onPassed();
    else this.#timer = setTimeout(() => this.moveTo(atMs), Math.min(Math.ceil(leftMs), LONGEST_MS));
  }
}
