import type { RunnerParts } from "./container.js";
import type { ContainerHandle } from "./runner.js";

/** Each call of an engine's command line costs as much for ten containers as for one. */
const GATHER_MS = 250;
const RETRY_MS = 2_000;

/** Removes containers that are over; while their engine is away it is tried again. */
export class Removals {
  readonly #parts: Pick<RunnerParts, "engines" | "log">;
  readonly #waiting = new Map<string, Set<string>>();
  readonly #removed = new Set<string>();
  #isDue = false;
  #isClosed = false;
  #removing: Promise<void> = Promise.resolve();

  constructor(parts: Pick<RunnerParts, "engines" | "log">) {
    this.#parts = parts;
  }

  /** Resolves when it is not there any more. @throws NavvyError engine_unreachable, setup_failed */
  async now({ engine, name }: ContainerHandle): Promise<void> {
    await (await this.#parts.engines.named(engine)).remove([name]);
    this.#removed.add(name);
  }

  /** In the background, several at once. */
  soon({ engine, name }: ContainerHandle): void {
    if (this.#removed.delete(name)) return;
    const names = this.#waiting.get(engine) ?? new Set();
    this.#waiting.set(engine, names.add(name));
    this.#schedule(GATHER_MS);
  }

  /** Resolves when all that was to be removed soon is, or is left to the next start's sweep. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#flush();
  }

  #flush(): Promise<void> {
    this.#removing = this.#removing.then(() => this.#removeAll());
    return this.#removing;
  }

  /** Its engine is away: they are over all the same, and must not be forgotten. */
  #again(engine: string, names: Set<string>): void {
    this.#waiting.set(engine, new Set([...(this.#waiting.get(engine) ?? []), ...names]));
    this.#schedule(RETRY_MS);
  }

  #schedule(delayMs: number): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => void this.#flush(), delayMs).unref();
  }

  async #removeAll(): Promise<void> {
    this.#isDue = false;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const [engine, names] of waiting) {
      try {
        await (await this.#parts.engines.named(engine)).remove([...names]);
      } catch (error) {
        if (this.#isClosed)
          this.#parts.log.warn({ err: error, names: [...names] }, "containers could not be removed: left to the next start");
        else this.#again(engine, names);
      }
    }
  }
}
