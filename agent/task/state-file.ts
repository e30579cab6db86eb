import { readFile, rename, writeFile } from "node:fs/promises";

/** A small file that an attempt keeps for the agent that may adopt it: always whole, whenever the agent is killed. */
export class StateFile<T> {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Undefined when none was written. */
  async read(): Promise<T | undefined> {
    const text = await readFile(this.#path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    return text === undefined ? undefined : (JSON.parse(text) as T);
  }

  async write(state: T): Promise<void> {
    const next = `${this.#path}.next`;
    await writeFile(next, JSON.stringify(state), { mode: 0o600 });
    await rename(next, this.#path);
  }
}
