import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { GcReport, Navvy } from "../../broker/index.js";
import { isNavvyError } from "../../protocol/index.js";

const LOOK_EVERY_MS = 60_000;

export interface CollectorParts {
  navvy: Pick<Navvy, "storage">;
  log: Logger;
  /** Default: once a minute. */
  lookEveryMs?: number;
}

/**
 * Enforces retention by itself, as often as the rules say (`navvy storage set --every`); without that nothing goes but by `navvy gc`.
 * When garbage was last collected stands in the control bucket, so a change of leader neither repeats nor skips it.
 */
export class Collector {
  readonly #parts: CollectorParts;
  readonly #stop = new AbortController();

  constructor(parts: CollectorParts) {
    this.#parts = parts;
    void this.#run();
  }

  close(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const pause = () => delay(this.#parts.lookEveryMs ?? LOOK_EVERY_MS, true, { signal, ref: false }).catch(() => false);
    while (await pause()) {
      try {
        if (await this.#isDue()) this.#say(await this.#parts.navvy.storage.gc({ signal }));
      } catch (error) {
        const isPassing = signal.aborted || (isNavvyError(error) && error.retryable);
        if (!isPassing) this.#parts.log.warn({ err: error }, "garbage could not be collected; it is tried again");
      }
    }
  }

  async #isDue(): Promise<boolean> {
    const { storage } = this.#parts.navvy;
    const { everyMs } = await storage.settings.get();
    if (everyMs === undefined) return false;
    const last = await storage.lastGc();
    return last === undefined || Date.now() - last.getTime() >= everyMs;
  }

  #say({ expired, objects, excesses }: GcReport): void {
    const freedBytes = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    this.#parts.log.info({ expired: expired.length, objects: objects.length, freedBytes }, "garbage was collected");
    for (const excess of excesses) this.#parts.log.warn({ ...excess }, "a place is over its limit, and all that is left there is kept");
  }
}
