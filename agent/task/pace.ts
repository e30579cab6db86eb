/** Right after something moved it is looked at again soon, what stands still ever more seldom, in milliseconds. */
const FAST_MS = 15;
const SLOW_MS = 150;
const SLOWER = 1.4;

/**
 * Does something again and again, one turn at a time: soon after a turn that moved something, seldom while nothing does. A
 * quiet task costs next to nothing, and what a busy one prints is on its way while it still prints.
 */
export class Pace {
  readonly #act: () => Promise<boolean>;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> | undefined;
  #delayMs = FAST_MS;
  #isStopped = false;

  /** @param act resolves with whether anything moved; must not reject */
  constructor(act: () => Promise<boolean>) {
    this.#act = act;
    this.#schedule();
  }

  /** Resolves when no turn is under way and none will come. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#turn;
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#turn = this.#act().then((hasMoved) => {
        this.#delayMs = hasMoved ? FAST_MS : Math.min(this.#delayMs * SLOWER, SLOW_MS);
        this.#schedule();
      });
    }, this.#delayMs);
  }
}
