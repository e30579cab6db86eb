import type { LogChunk, LogStream } from "../protocol/index.js";
import type { LogPiece } from "./logs.js";

/** A publisher has fewer chunks under way than that: what is still missing then will not come. */
const MOST_EARLY = 64;
const NOTHING = new Uint8Array();

interface StreamState {
  next: number;
  /** Chunks that came before their turn, by offset. */
  early: Map<number, LogChunk>;
}

/**
 * Puts an attempt's chunks back in order by their offsets: publishes are windowed and repeated after an outage, so one
 * may come twice or before its turn. Memory is bounded by the publisher's window. Bytes that are not there (left out by a limit,
 * expired) are given as a piece of their own, which says how many they are.
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
    yield* this.#giveEarly(state);
    if (state.early.size > MOST_EARLY) yield* this.#giveUp(state);
  }

  /** What is left behind a hole, when the log is over: a stream whose start has expired begins behind one. */
  *rest(): Generator<LogPiece> {
    for (const state of this.#streams.values()) while (state.early.size > 0) yield* this.#giveUp(state);
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

  *#giveEarly(state: StreamState): Generator<LogPiece> {
    for (const chunk of [...state.early.values()].sort((a, b) => a.offset - b.offset)) {
      if (chunk.offset > state.next) return;
      state.early.delete(chunk.offset);
      yield* this.#give(chunk, state);
    }
  }

  /** Goes on behind the next hole. */
  *#giveUp(state: StreamState): Generator<LogPiece> {
    const offset = Math.min(...state.early.keys());
    const after = state.early.get(offset);
    if (!after) return;
    yield* this.#give({ ...after, offset: state.next, omitted: offset - state.next, data: NOTHING }, state);
    yield* this.#giveEarly(state);
  }

  *#give(chunk: LogChunk, state: StreamState): Generator<LogPiece> {
    const { stream, at, section, omitted } = chunk;
    const end = chunk.offset + (omitted ?? chunk.data.length);
    if (end <= state.next) return; // a repeat, or an empty chunk
    const given = Math.max(0, state.next - chunk.offset);
    state.next = end;
    const content = omitted === undefined ? { data: chunk.data.subarray(given) } : { omitted: omitted - given, data: NOTHING };
    yield { attempt: this.#attempt, stream, at, ...(section === undefined ? {} : { section }), ...content };
  }
}
