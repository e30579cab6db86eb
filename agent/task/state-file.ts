import { readFile, rename, writeFile } from "node:fs/promises";

/** A small file that an attempt keeps for the agent that may adopt it: always whole, whenever the agent is killed. */
export class StateFile<T> {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Undefined when none was written, or a power failure left nothing of it that can be read. */
  async read(): Promise<T | undefined> {
    try {
      return JSON.parse(await readFile(this.#path, "utf8")) as T;
    } catch {
      return undefined; // what it would have spared is done again, and readers drop the repeats
    }
  }

  /**
   * A disk that is full costs an agent that adopts the attempt some repeats, and the attempt itself nothing.
   * @returns whether it is written
   */
  async write(state: T): Promise<boolean> {
    const next = `${this.#path}.next`;
    try {
      await writeFile(next, JSON.stringify(state), { mode: 0o600 });
      await rename(next, this.#path);
      return true;
    } catch {
      return false; // what was written before stands; the floor for disk space says why nothing more is taken
    }
  }
}
