/** Called when the task is to end. */
export type AbortListener = () => void | Promise<void>;

/** 128 + SIGTERM, as shells say it. */
const EXIT_CODE = 143;

/** What is to be done at SIGTERM, last added first; then the process exits. Without listeners the signal ends it as ever. */
export class AbortListeners {
  readonly #listeners: AbortListener[] = [];
  readonly #onSignal = () => void this.#run();

  add(listener: AbortListener): () => void {
    if (this.#listeners.length === 0) process.on("SIGTERM", this.#onSignal);
    this.#listeners.push(listener);
    return () => this.#remove(listener);
  }

  #remove(listener: AbortListener): void {
    const at = this.#listeners.indexOf(listener);
    if (at >= 0) this.#listeners.splice(at, 1);
    if (this.#listeners.length === 0) process.off("SIGTERM", this.#onSignal);
  }

  /** A second signal must not run them again, nor end what they are doing: the grace is theirs. */
  async #run(): Promise<void> {
    const listeners = this.#listeners.splice(0).reverse();
    if (listeners.length === 0) return;
    for (const listener of listeners) await listener();
    // oxlint-disable-next-line eslint/no-restricted-properties -- the program waits for whatever it waits for, and was told to end
    process.exit(EXIT_CODE);
  }
}
