import { write } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Lines that wait while a reader is slow: beyond that the newest are left out, as memory is not for logs. */
const MAX_WAITING_BYTES = 1024 * 1024;
const RETRY_MS = 100;

/**
 * A destination for the agent's log that outlives its disk and its reader. What can not be written is left out and counted, and
 * the count is told with the first line that can be written again. It never blocks: an agent that waited for the reader of its
 * log could not keep its lease.
 */
export class LastingLog {
  readonly #fd: number;
  /** Makes the line that tells how many were left out, and why. */
  readonly #tell: (lost: number, why: string) => string;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #isWriting = false;
  #lost = { lines: 0, why: "" };
  /** A line broke off in the middle: the next one must not be glued to it. */
  #isTorn = false;

  constructor(fd: number, tell: (lost: number, why: string) => string) {
    this.#fd = fd;
    this.#tell = tell;
  }

  /** Takes one line with its end. */
  write(line: string): void {
    if (this.#waitingBytes + line.length > MAX_WAITING_BYTES) return this.#lose(1, "its reader is too slow");
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    if (!this.#isWriting) void this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      const told = this.#lost.lines > 0 ? this.#tell(this.#lost.lines, this.#lost.why) : "";
      const problem = await this.#put(Buffer.from((this.#isTorn ? "\n" : "") + told + lines.join("")));
      if (problem) this.#lose(lines.length, problem);
      else this.#lost.lines = 0;
    }
    this.#isWriting = false;
  }

  /** @returns why it could not be written, if it could not */
  async #put(bytes: Buffer): Promise<string | undefined> {
    for (let done = 0; done < bytes.length; ) {
      const { error, written } = await writeSome(this.#fd, bytes.subarray(done));
      done += written;
      if (error?.code === "EAGAIN") await delay(RETRY_MS);
      else if (error) {
        this.#isTorn ||= done > 0;
        return error.code ?? error.message;
      }
    }
    this.#isTorn = false;
    return undefined;
  }

  #lose(lines: number, why: string): void {
    this.#lost = { lines: this.#lost.lines + lines, why };
  }
}

function writeSome(fd: number, bytes: Buffer): Promise<{ error: NodeJS.ErrnoException | null; written: number }> {
  return new Promise((resolve) => write(fd, bytes, 0, bytes.length, null, (error, written) => resolve({ error, written: written || 0 })));
}
