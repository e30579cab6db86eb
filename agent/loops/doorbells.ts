import type { Navvy } from "../../broker/index.js";
import type { Lane } from "../../protocol/index.js";

/** What a doorbell is for. */
export type Bell = Pick<Lane, "queue" | "shape" | "needs">;

/** Listens to the doorbells of what there is room for, and to no others: one that nobody can answer must reach someone else. */
export class Doorbells {
  readonly #navvy: Navvy;
  readonly #onRing: (bell: Bell) => void;
  readonly #bells = new Map<string, () => void>();

  constructor(navvy: Navvy, onRing: (bell: Bell) => void) {
    this.#navvy = navvy;
    this.#onRing = onRing;
  }

  /** Listens to exactly these from now on. */
  set(wanted: Bell[]): void {
    const keys = new Map(wanted.map((bell) => [`${bell.queue}.${bell.shape}`, bell]));
    for (const [key, stop] of this.#bells) {
      if (keys.has(key)) continue;
      stop();
      this.#bells.delete(key);
    }
    for (const [key, bell] of keys) {
      if (!this.#bells.has(key))
        this.#bells.set(
          key,
          this.#navvy.queues.onRing(bell, () => this.#onRing(bell)),
        );
    }
  }
}
