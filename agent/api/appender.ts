import { type FileHandle, open } from "node:fs/promises";
import { NavvyError } from "../../protocol/index.js";

/**
 * Appends lines to an events file, each batch with one write: whoever reads the file finds whole lines. They are in the kernel's hands
 * when `append` resolves, so an agent that is killed loses none that was answered for.
 */
export class Appender {
  readonly #path: string;
  #file: FileHandle | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #isTorn = false;
  #isClosed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws NavvyError disk_full, aborted (the attempt is over) */
  append(lines: readonly (string | object)[]): Promise<void> {
    if (lines.length === 0) return Promise.resolve();
    const text = lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("");
    const written = this.#last.then(() => this.#write(text));
    this.#last = written.catch(() => undefined);
    return written;
  }

  /** After what was begun is written; nothing is taken any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #write(text: string): Promise<void> {
    if (this.#isClosed) throw new NavvyError("aborted", "the attempt is over: its reports are closed");
    this.#file ??= await open(this.#path, "a", 0o600);
    // What a full disk cut off is a line of its own: it spoils none of these.
    const bytes = Buffer.from(this.#isTorn ? `\n${text}` : text);
    try {
      const { bytesWritten } = await this.#file.write(bytes);
      this.#isTorn = bytesWritten < bytes.length;
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#isTorn = true;
    }
    if (this.#isTorn) throw new NavvyError("disk_full", "the disk is full: the report was not taken", { fix: "df -h" });
  }
}

export function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}
