import { Deadline } from "./deadline.js";
import { monotonicMs } from "./wire.js";

/** Calls back once an amount of time has been spent; it can be halted, so that time in which nothing may run is not counted. */
export class Countdown {
  readonly #deadline: Deadline;
  #leftMs: number | undefined;
  #startedAtMs = 0;
  #isHalted = false;

  constructor(onPassed: () => void) {
    this.#deadline = new Deadline(() => {
      this.#leftMs = undefined;
      onPassed();
    });
  }

  /** Begins, or shortens what is left; never lengthens it. */
  atMost(durationMs: number): void {
    const leftMs = this.#halt();
    this.#leftMs = Math.min(leftMs ?? Number.POSITIVE_INFINITY, durationMs);
    if (!this.#isHalted) this.#run();
  }

  halt(): void {
    if (this.#isHalted) return;
    this.#leftMs = this.#halt();
    this.#isHalted = true;
  }

  goOn(): void {
    if (!this.#isHalted) return;
    this.#isHalted = false;
    this.#run();
  }

  cancel(): void {
    this.#leftMs = undefined;
    this.#deadline.moveTo(undefined);
  }

  #halt(): number | undefined {
    this.#deadline.moveTo(undefined);
    if (this.#leftMs === undefined || this.#isHalted) return this.#leftMs;
    return Math.max(0, this.#leftMs - (monotonicMs() - this.#startedAtMs));
  }

  #run(): void {
    if (this.#leftMs === undefined) return;
    this.#startedAtMs = monotonicMs();
    this.#deadline.moveTo(this.#startedAtMs + this.#leftMs);
  }
}
