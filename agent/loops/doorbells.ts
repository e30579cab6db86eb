import type { Navvy } from "../../broker/index.js";
import { type Lane, parseShape } from "../../protocol/index.js";

/** What a doorbell is for. */
export type Bell = Pick<Lane, "queue" | "shape" | "needs">;

/**
 * Listens to the doorbells of what there is room for, and to no others: one that nobody can answer must reach someone else.
 *
 * Of hashed shapes there may be hundreds, and room comes and goes with every task, so those are let go only when one rings that
 * can not be answered: it is rung on, and comes back here no more until there is room for it again.
 */
export class Doorbells {
  readonly #navvy: Navvy;
  readonly #onRing: (bell: Bell) => void;
  readonly #bells = new Map<string, { bell: Bell; stop: () => void }>();

  constructor(navvy: Navvy, onRing: (bell: Bell) => void) {
    this.#navvy = navvy;
    this.#onRing = onRing;
  }

  /** Listens to those that are wanted from now on; of those it listens to, what is not is let go, or kept until it rings. @returns whether any is new */
  set(wanted: Bell[], { keepsHashed }: { keepsHashed: boolean }): boolean {
    const keys = new Map(wanted.map((bell) => [keyOf(bell), bell]));
    for (const [key, { bell }] of this.#bells) if (!keys.has(key) && !(keepsHashed && isHashed(bell))) this.#drop(key);
    let isNew = false;
    for (const [key, bell] of keys) {
      if (this.#bells.has(key)) continue;
      isNew = true;
      this.#bells.set(key, { bell, stop: this.#navvy.queues.onRing(bell, () => this.#onRing(bell)) });
    }
    return isNew;
  }

  /** For one that rang and can not be answered here. */
  passOn(bell: Bell): void {
    this.#drop(keyOf(bell));
    this.#navvy.queues.ring(bell);
  }

  #drop(key: string): void {
    this.#bells.get(key)?.stop();
    this.#bells.delete(key);
  }
}

function keyOf({ queue, shape }: Bell): string {
  return `${queue}.${shape}`;
}

function isHashed({ shape }: Bell): boolean {
  return parseShape(shape) === undefined;
}
