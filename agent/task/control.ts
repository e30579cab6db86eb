import type { Cause } from "./outcome.js";

/** That an attempt is to end, and when it is killed. */
export interface EndWish {
  kind: "aborted" | "timed_out";
  reason: string;
  /** RFC 3339. */
  deadline: string;
}

/** What a task may ask of its attempt: whether it is to end. */
export class Control {
  /** It was started for a wish that stands in its record: it is told by a signal only when its grace is over. */
  knowsOfAbort = false;
  #wish: EndWish | undefined;
  readonly #waiting = new Set<() => void>();

  get wish(): EndWish | undefined {
    return this.#wish;
  }

  /** The grace begins now; a cause that leaves none is not told: its process is gone in the same moment. */
  tell(cause: Cause): void {
    if (cause.kind !== "aborted" && cause.kind !== "timed_out") return;
    const { kind, reason, graceMs } = cause;
    this.#wish = { kind, reason, deadline: new Date(Date.now() + graceMs).toISOString() };
    for (const wake of this.#waiting) wake();
  }

  /** The wish: at once when there is one, else as soon as one comes; undefined when none did. `signal`: nobody waits any more. */
  async wait(waitMs: number, signal: AbortSignal): Promise<EndWish | undefined> {
    if (this.#wish || waitMs <= 0 || signal.aborted) return this.#wish;
    let wake = () => {};
    const woken = new Promise<void>((resolve) => (wake = resolve));
    const timer = setTimeout(wake, waitMs);
    this.#waiting.add(wake);
    signal.addEventListener("abort", wake, { once: true });
    await woken;
    clearTimeout(timer);
    this.#waiting.delete(wake);
    return this.#wish;
  }
}
