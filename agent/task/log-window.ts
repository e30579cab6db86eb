import { LogFrame, type Logs } from "../../broker/index.js";
import type { LogChunk, LogStream } from "../../protocol/index.js";

/** Chunks under way at once: readers put back in order what is at most as far apart. */
const WINDOW = 8;

export type LogTarget = { id: string; attempt: number };
export type Piece = Pick<LogChunk, "stream" | "offset" | "data" | "section" | "omitted">;

/** Publishes an attempt's chunks, a window of them in flight, each in a frame that is used again once it is stored. */
export class LogWindow {
  readonly #parts: { logs: Logs; target: LogTarget; signal: AbortSignal };
  /** In the order of their sending. */
  readonly #inFlight = new Map<Promise<void>, Pick<Piece, "stream" | "offset">>();
  readonly #free: LogFrame[] = [];
  #failure: unknown;

  constructor(parts: { logs: Logs; target: LogTarget; signal: AbortSignal }) {
    this.#parts = parts;
  }

  /** A frame to read into; give it to `send` or `giveBack`. */
  frame(): LogFrame {
    return this.#free.pop() ?? new LogFrame();
  }

  giveBack(frame: LogFrame): void {
    this.#free.push(frame);
  }

  /** Resolves when it is under way and there is room for the next. `frame`: where its bytes lie. */
  async send(piece: Piece, frame?: LogFrame): Promise<void> {
    const { logs, target, signal } = this.#parts;
    const sending: Promise<void> = logs
      .publish(target, { ...piece, at: new Date().toISOString() }, { signal, frame })
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#inFlight.delete(sending);
        if (frame) this.giveBack(frame);
      });
    this.#inFlight.set(sending, piece);
    // The oldest, not any: chunks must not overtake each other further than a reader waits.
    while (this.#inFlight.size >= WINDOW) await this.#inFlight.keys().next().value;
  }

  /** Resolves when all of it is stored. @throws NavvyError when a part of it can not be */
  async settle(): Promise<void> {
    await Promise.all(this.#inFlight.keys());
    if (this.#failure !== undefined) throw this.#failure;
  }

  get isEmpty(): boolean {
    return this.#inFlight.size === 0;
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Where the oldest chunk of each stream begins that is not known to be stored. */
  unstored(): Partial<Record<LogStream, number>> {
    const oldest: Partial<Record<LogStream, number>> = {};
    for (const { stream, offset } of this.#inFlight.values()) oldest[stream] = Math.min(oldest[stream] ?? offset, offset);
    return oldest;
  }
}
