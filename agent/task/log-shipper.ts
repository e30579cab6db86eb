import type { Logs } from "../../broker/index.js";
import type { LogStream } from "../../protocol/index.js";
import { Tail } from "./tail.js";

const CHUNK_BYTES = 256 * 1024;
const WINDOW = 8;
const TAIL_BYTES = 4096;

/**
 * Ships an attempt's spool files as chunks with their offsets, a window of them in flight. The files are the memory:
 * while NATS is away nothing more is read, and nothing is lost.
 */
export class LogShipper {
  readonly #logs: Logs;
  readonly #target: { id: string; attempt: number };
  readonly #tails: Record<"out" | "err", Tail>;
  readonly #signal: AbortSignal;
  readonly #inFlight = new Set<Promise<void>>();
  #last: Uint8Array = new Uint8Array();
  #navvyBytes = 0;
  #failure: unknown;

  constructor(parts: { logs: Logs; target: { id: string; attempt: number }; stdout: string; stderr: string; signal: AbortSignal }) {
    this.#logs = parts.logs;
    this.#target = parts.target;
    this.#tails = { out: new Tail(parts.stdout), err: new Tail(parts.stderr) };
    this.#signal = parts.signal;
  }

  /** Ships what is there. Resolves when all of it is read and at most a window is under way. @returns whether there was any */
  async drain(): Promise<boolean> {
    const tails = Object.entries(this.#tails) as [LogStream, Tail][];
    const open = new Set(tails);
    const before = this.#tails.out.offset + this.#tails.err.offset;
    while (open.size > 0 && !this.#signal.aborted) {
      for (const one of open) {
        const [stream, tail] = one;
        const offset = tail.offset;
        const data = await tail.read(CHUNK_BYTES);
        if (data.length > 0) await this.#ship(stream, offset, data);
        if (data.length < CHUNK_BYTES) open.delete(one);
      }
    }
    return this.#tails.out.offset + this.#tails.err.offset > before;
  }

  /** A line of navvy's own, for what happens before and around the program. */
  async say(text: string): Promise<void> {
    const data = Buffer.from(`${text}\n`);
    await this.#ship("navvy", this.#navvyBytes, data);
    this.#navvyBytes += data.length;
  }

  /** Waits until the stream has all that was drained. @returns bytes per stream */
  async finish(): Promise<Record<string, number>> {
    await Promise.all(this.#inFlight);
    await this.close();
    if (this.#failure !== undefined) throw this.#failure;
    return { out: this.#tails.out.offset, err: this.#tails.err.offset, ...(this.#navvyBytes > 0 ? { navvy: this.#navvyBytes } : {}) };
  }

  /** The last lines that were printed. */
  get tail(): string {
    return Buffer.from(this.#last).toString("utf8");
  }

  async close(): Promise<void> {
    await Promise.all([this.#tails.out.close(), this.#tails.err.close()]);
  }

  async #ship(stream: LogStream, offset: number, data: Uint8Array): Promise<void> {
    this.#last = Buffer.concat([this.#last, data.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
    while (this.#inFlight.size >= WINDOW) await Promise.race(this.#inFlight);
    const sending: Promise<void> = this.#logs
      .publish(this.#target, { stream, offset, at: new Date().toISOString(), data }, this.#signal)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#inFlight.delete(sending));
    this.#inFlight.add(sending);
  }
}
