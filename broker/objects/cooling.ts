import { setTimeout as delay } from "node:timers/promises";
import { isNavvyError } from "../../protocol/index.js";
import type { Trouble } from "../trouble.js";

const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Keeps uploads that found the store full apart. Each of them fills it to the brim and empties it again, and while it is full
 * not even an outcome can be recorded: so they come ever more seldom, and the records get their turn in between.
 */
export class Cooling {
  readonly #trouble: Trouble;
  #pauseMs = 0;
  #freeAt = 0;

  constructor(trouble: Trouble) {
    this.#trouble = trouble;
  }

  async upload<T>(act: () => Promise<T>): Promise<T> {
    await delay(Math.max(0, this.#freeAt - performance.now()));
    try {
      const done = await act();
      this.#pauseMs = 0;
      this.#freeAt = 0;
      this.#trouble.end("artifacts");
      return done;
    } catch (error) {
      if (isNavvyError(error, "disk_full")) this.#pause(error);
      throw error;
    }
  }

  #pause(error: unknown): void {
    this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, FIRST_PAUSE_MS), LONGEST_PAUSE_MS);
    this.#freeAt = performance.now() + this.#pauseMs;
    this.#trouble.begin("artifacts", error);
  }
}
