/**
 * Something that goes along with an attempt's process: a socket that it may ask, a watcher of its files, a sampler of what it uses.
 * What it finds out it appends, as lines of the reporting protocol, to an events file of its own: `eventsFile(folder, name)`.
 */
export interface Companion {
  /** For the log. */
  name: string;
  /** Before the process starts, and again when one is adopted: whatever the process needs of it is there when this resolves. */
  begin?(): Promise<void>;
  /** Now and then while the process runs, soon again after something moved. @returns whether anything did */
  turn?(): Promise<boolean>;
  /** After its end, before its reports are closed: the last of what it has goes into them. Safe to repeat. */
  finish?(): Promise<void>;
  /** The attempt is over, in whatever way; nothing of it is left open when this resolves. */
  close?(): Promise<void>;
}

/** An attempt's companions as one. None of them can harm the attempt: what fails is told, and the others go on. */
export class Companions {
  readonly #all: readonly Companion[];
  readonly #onFailed: (error: unknown, name: string) => void;

  constructor(all: readonly Companion[], onFailed: (error: unknown, name: string) => void) {
    this.#all = all;
    this.#onFailed = onFailed;
  }

  async begin(): Promise<void> {
    await this.#each((one) => one.begin?.());
  }

  /** @returns whether anything moved */
  async turn(): Promise<boolean> {
    return (await this.#each((one) => one.turn?.())).includes(true);
  }

  async finish(): Promise<void> {
    await this.#each((one) => one.finish?.());
  }

  async close(): Promise<void> {
    await this.#each((one) => one.close?.());
  }

  #each<T>(act: (one: Companion) => Promise<T> | undefined): Promise<(T | undefined)[]> {
    return Promise.all(
      this.#all.map(async (one) => {
        try {
          return await act(one);
        } catch (error) {
          this.#onFailed(error, one.name);
          return undefined;
        }
      }),
    );
  }
}
