import type { RunnerParts } from "./container.js";
import type { ContainerHandle } from "./runner.js";

/** Each call of an engine's command line costs as much for ten containers as for one. */
const GATHER_MS = 250;

/** Removes containers that are over; what can not be removed now is left to the sweep. */
export class Removals {
  readonly #parts: Pick<RunnerParts, "engines" | "log">;
  readonly #waiting = new Map<string, Set<string>>();
  readonly #removed = new Set<string>();
  #isDue = false;
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
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => void this.flush(), GATHER_MS).unref();
  }

  /** Resolves when all that was to be removed soon is, or is left to the sweep. */
  flush(): Promise<void> {
    this.#removing = this.#removing.then(() => this.#removeAll());
    return this.#removing;
  }

  async #removeAll(): Promise<void> {
    this.#isDue = false;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const [engine, names] of waiting) {
      try {
        await (await this.#parts.engines.named(engine)).remove([...names]);
      } catch (error) {
        this.#parts.log.warn({ err: error, names: [...names] }, "containers could not be removed: left to the next sweep");
      }
    }
  }
}
