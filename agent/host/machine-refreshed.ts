import { setTimeout as delay } from "node:timers/promises";

/** How often to measure, and what holds before. */
export interface RefreshedOptions<T> {
  everyMs: number;
  /** Until the first measurement; its age counts from now. */
  initial: T;
}

/** A figure that is measured in the background, one measurement at a time: reading it never waits, however long that takes. */
export class Refreshed<T> {
  readonly #measure: () => Promise<T>;
  readonly #everyMs: number;
  #value: T;
  #running: Promise<void> | undefined;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  #measuredAtMs = performance.now();

  /** A measurement that rejects leaves the value as it was. */
  constructor(measure: () => Promise<T>, { everyMs, initial }: RefreshedOptions<T>) {
    this.#measure = measure;
    this.#everyMs = everyMs;
    this.#value = initial;
  }

  /** Waits for the first measurement, but no longer than that. */
  async first(limitMs: number): Promise<T> {
    const late = new AbortController();
    await Promise.race([this.#refresh(), delay(limitMs, undefined, { signal: late.signal }).catch(() => {})]);
    late.abort();
    return this.#value;
  }

  /** The value as last measured; has it measured anew when that is due. */
  latest(): T {
    if (performance.now() - this.#startedAtMs >= this.#everyMs) void this.#refresh();
    return this.#value;
  }

  /** Milliseconds since the value was measured. */
  get ageMs(): number {
    return performance.now() - this.#measuredAtMs;
  }

  #refresh(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    this.#startedAtMs = performance.now();
    try {
      this.#value = await this.#measure();
      this.#measuredAtMs = performance.now();
    } catch {
      // The figure grows old, which its age tells.
    } finally {
      this.#running = undefined;
    }
  }
}
