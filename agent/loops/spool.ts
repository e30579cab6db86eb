import type { Logger } from "pino";
import type { Runner } from "../runners/runner.js";
import type { Running } from "../running.js";
import type { Attempt } from "../task/attempt.js";

const EVERY_MS = 1_000;
/** Share of the limit below which a task that stands still goes on. */
const GO_ON_BELOW = 0.5;

export interface SpoolParts {
  running: Running;
  runner: Pick<Runner, "pause" | "resume">;
  /** Bytes of one task's output that may wait on the disk to be shipped. */
  maxBytes: number;
  log: Logger;
}

/**
 * Keeps what waits to be shipped within its limit: a task that prints faster than NATS takes it, or while NATS is away, stands
 * still until there is room. Nothing it printed is lost.
 */
export class SpoolLoop {
  readonly #parts: SpoolParts;
  readonly #timer: NodeJS.Timeout;
  /** Whether it stands still; an attempt that is not here may have been left so by an earlier run. */
  readonly #isPaused = new WeakMap<Attempt, boolean>();
  #isLooking = false;

  constructor(parts: SpoolParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => void this.#look(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { running, log } = this.#parts;
    for (const attempt of running.all()) {
      try {
        await this.#weigh(attempt);
      } catch (error) {
        log.warn({ err: error, task: attempt.claim.id }, "what waits of a task's output could not be measured");
      }
    }
    this.#isLooking = false;
  }

  async #weigh(attempt: Attempt): Promise<void> {
    if (!attempt.canBeLeft) return;
    const { maxBytes, runner, log } = this.#parts;
    const bytes = await attempt.waitingBytes();
    const isPaused = this.#isPaused.get(attempt);
    if (isPaused !== true && bytes > maxBytes) {
      this.#isPaused.set(attempt, true);
      runner.pause(attempt.key);
      attempt.note("warn", `stands still: ${bytes} bytes of its output wait to be stored, over the limit of ${maxBytes}`);
      log.warn({ task: attempt.claim.id, bytes, maxBytes }, "a task stands still: too much of its output waits to be stored");
    } else if (isPaused !== false && bytes <= maxBytes * GO_ON_BELOW) {
      this.#isPaused.set(attempt, false);
      runner.resume(attempt.key);
      if (isPaused) attempt.note("info", "goes on: its output is stored again");
    }
  }
}
