import { openSync, writeSync } from "node:fs";

/** The task's events: JSON lines, each appended with one write, so that lines of several processes never mix. */
export class EventFile {
  readonly #path: string | undefined;
  #fd: number | undefined;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  /** @returns false when there is no file to report to */
  append(event: object): boolean {
    if (this.#path === undefined) return false;
    this.#fd ??= openSync(this.#path, "a");
    writeSync(this.#fd, `${JSON.stringify(event)}\n`);
    return true;
  }
}
