import type { LogChunk, LogStream } from "../protocol/index.js";
import type { LogPiece } from "./logs.js";

interface StreamState {
  next: number;
  /** Chunks that came before their turn, by offset. */
  early: Map<number, LogChunk>;
}

/**
 * Puts an attempt's chunks back in order by their offsets: publishes are windowed and repeated after an outage, so one
 * may come twice or before its turn. Memory is bounded by the publisher's window.
 */
export class LogAssembler {
  readonly #only: number | undefined;
  #attempt = 0;
  #streams = new Map<LogStream, StreamState>();

  /** @param only take this attempt alone; else the newest that has been seen */
  constructor(only?: number) {
    this.#only = only;
  }

  /** The newest attempt that has been seen; 0: none. */
  get attempt(): number {
    return this.#attempt;
  }

  *take(attempt: number, chunk: LogChunk): Generator<LogPiece> {
    if (attempt < this.#attempt || (this.#only !== undefined && attempt !== this.#only)) return;
    if (attempt > this.#attempt) this.#begin(attempt);
    const state = this.#stream(chunk.stream);
    if (chunk.offset > state.next) state.early.set(chunk.offset, chunk);
    else yield* this.#give(chunk, state);
    for (let early = state.early.get(state.next); early; early = state.early.get(state.next)) {
      state.early.delete(early.offset);
      yield* this.#give(early, state);
    }
  }

  /** What is left behind a hole, when the log is over: a stream whose start has expired begins behind one. */
  *rest(): Generator<LogPiece> {
    for (const state of this.#streams.values()) {
      for (const chunk of [...state.early.values()].sort((a, b) => a.offset - b.offset)) yield* this.#give(chunk, state);
      state.early.clear();
    }
  }

  /** All these bytes per stream have been given out. */
  has(attempt: number, bytes: Record<string, number>): boolean {
    return Object.entries(bytes).every(
      ([stream, count]) => count === 0 || (attempt === this.#attempt && (this.#streams.get(stream as LogStream)?.next ?? 0) >= count),
    );
  }

  #begin(attempt: number): void {
    this.#attempt = attempt;
    this.#streams = new Map();
  }

  #stream(name: LogStream): StreamState {
    const state = this.#streams.get(name) ?? { next: 0, early: new Map() };
    this.#streams.set(name, state);
    return state;
  }

  *#give(chunk: LogChunk, state: StreamState): Generator<LogPiece> {
    const end = chunk.offset + chunk.data.length;
    if (end <= state.next) return; // a repeat, or an empty chunk
    const data = chunk.offset < state.next ? chunk.data.subarray(state.next - chunk.offset) : chunk.data;
    state.next = end;
    const { stream, at, section } = chunk;
    yield { attempt: this.#attempt, stream, at, ...(section === undefined ? {} : { section }), data };
  }
}
