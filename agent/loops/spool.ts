import { statfs } from "node:fs/promises";
import type { Logger } from "pino";
import type { AgentConfig } from "../config.js";
import type { Runner } from "../runners/runner.js";
import type { Running } from "../running.js";
import type { Attempt } from "../task/attempt.js";

const EVERY_MS = 1_000;
/** With less than that above the floor it is looked at so much more often: a program can print a GiB in a second. */
const NEAR_FLOOR_BYTES = 2 ** 30;
const NEAR_FLOOR_EVERY_MS = 100;
/** Share of the limit below which a task that stands still goes on. */
const GO_ON_BELOW = 0.5;
/** With a disk that is short: so much may wait of a task that does not stand still, and so little must of one that does. */
const SHORT_WAITING_BYTES = 2 ** 20;

export interface SpoolParts {
  running: Running;
  runner: Pick<Runner, "pause" | "resume">;
  /**
   * `maxSpoolBytes`: of one task's output that may wait on the disk to be shipped; `minFreeDiskBytes`: what is to stay free under
   * `folder`.
   */
  config: Pick<AgentConfig, "maxSpoolBytes" | "minFreeDiskBytes" | "folder" | "log">;
}

/**
 * Keeps what waits to be shipped within its limit, and off a disk that is short: a task that prints faster than NATS takes it, or
 * while NATS is away, stands still until there is room. Nothing it printed is lost.
 */
export class SpoolLoop {
  readonly #parts: SpoolParts;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  /** Whether it stands still; an attempt that is not here may have been left so by an earlier run. */
  readonly #isPaused = new WeakMap<Attempt, boolean>();
  /** What has been noted of an attempt and is not noted again. */
  readonly #noted = { limit: new WeakSet<Attempt>(), disk: new WeakSet<Attempt>() };
  #isStopped = false;

  constructor(parts: SpoolParts) {
    this.#parts = parts;
    this.#log = parts.config.log;
    this.#schedule(EVERY_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): void {
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.#turn(), delayMs);
  }

  async #turn(): Promise<void> {
    this.#schedule(await this.#look());
  }

  /** @returns milliseconds until the next look */
  async #look(): Promise<number> {
    const attempts = this.#parts.running.all();
    if (attempts.length === 0) return EVERY_MS;
    const spareBytes = await this.#spareDisk();
    for (const attempt of attempts) {
      try {
        await this.#weigh(attempt, spareBytes);
      } catch (error) {
        this.#log.warn({ err: error, task: attempt.claim.id }, "what waits of a task's output could not be measured");
      }
    }
    return spareBytes < NEAR_FLOOR_BYTES ? NEAR_FLOOR_EVERY_MS : EVERY_MS;
  }

  /** Free disk above what is to stay free. */
  async #spareDisk(): Promise<number> {
    const { folder, minFreeDiskBytes } = this.#parts.config;
    try {
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize - minFreeDiskBytes;
    } catch {
      return Number.POSITIVE_INFINITY; // not known: the limit for each task stands all the same
    }
  }

  async #weigh(attempt: Attempt, spareBytes: number): Promise<void> {
    if (!attempt.canBeLeft) return;
    const { runner } = this.#parts;
    const spool = attempt.spool();
    const isShort = spareBytes <= 0;
    if (isShort) spool.squeeze();
    if (spool.isHeld)
      this.#noteOnce(attempt, "limit", "its log has reached its limit: of what it prints from here on only the end is kept");
    const bytes = await spool.waitingBytes();
    const isPaused = this.#isPaused.get(attempt);
    const reason = this.#reasonToStop(bytes, isShort);
    if (isPaused !== true && reason !== undefined) {
      this.#isPaused.set(attempt, true);
      runner.pause(attempt.key);
      // On a short disk it may stop and go on many times a second.
      if (isShort) this.#noteOnce(attempt, "disk", `stands still, again and again: ${reason}`);
      else attempt.note("warn", `stands still: ${reason}`);
      this.#log.warn({ task: attempt.claim.id, bytes, spareBytes }, "a task stands still: too much of its output waits to be stored");
    } else if (isPaused !== false && this.#mayGoOn(bytes, isShort)) {
      this.#isPaused.set(attempt, false);
      runner.resume(attempt.key);
      if (isPaused && !this.#noted.disk.has(attempt)) attempt.note("info", "goes on: its output is stored again");
    }
  }

  #reasonToStop(bytes: number, isShort: boolean): string | undefined {
    const { maxSpoolBytes, minFreeDiskBytes } = this.#parts.config;
    if (bytes > maxSpoolBytes) return `${bytes} bytes of its output wait to be stored, over the limit of ${maxSpoolBytes}`;
    if (!isShort || bytes <= SHORT_WAITING_BYTES) return undefined;
    return `${bytes} bytes of its output wait to be stored, and no more than ${minFreeDiskBytes} bytes of disk are free`;
  }

  #mayGoOn(bytes: number, isShort: boolean): boolean {
    const limit = this.#parts.config.maxSpoolBytes;
    return bytes <= GO_ON_BELOW * (isShort ? Math.min(limit, SHORT_WAITING_BYTES) : limit);
  }

  #noteOnce(attempt: Attempt, about: "limit" | "disk", text: string): void {
    if (this.#noted[about].has(attempt)) return;
    this.#noted[about].add(attempt);
    attempt.note("warn", text);
  }
}
