import { Automaton, type State } from "./automaton.js";

/** Stands in place of a value. */
export const MASK = "***";
const MASK_BYTES = Buffer.from(MASK);
const NOTHING = Buffer.alloc(0);
/** So many bytes of a possible beginning may be shown when nothing more comes: a prompt is seen, and a value gives away no more than that. */
const SHOWN_WHEN_IDLE = 2;

/** From its first byte to the one behind its last, counted from the beginning of what is held. */
interface Span {
  from: number;
  to: number;
}

/**
 * Replaces values in a stream of bytes, wherever its pieces are cut. Every other byte passes as it is and at once: what is held back
 * is only what may still become a value, so less than the longest pattern.
 *
 * What several patterns find is taken together: bytes that belong to any of them are gone, each run of them for one mask.
 */
export class Redactor {
  readonly #automaton: Automaton;
  #state: State = Automaton.START;
  #held: Buffer = NOTHING;
  /** So many of the held bytes belong to a value whose mask is out already. */
  #masked = 0;
  #spans: Span[] = [];

  constructor(automaton: Automaton) {
    this.#automaton = automaton;
  }

  /** @returns what may go on */
  push(chunk: Uint8Array): Buffer {
    const before = this.#held.length;
    const data = before === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : Buffer.concat([this.#held, chunk]);
    this.#search(data, before);
    // What was shown while nothing came is not held any more.
    return this.#release(data, Math.max(0, data.length - this.#automaton.depth(this.#state)));
  }

  /** Nothing more has come for a while: a beginning that is too short to give anything away is shown. */
  idle(): Buffer {
    if (this.#held.length - this.#masked > SHOWN_WHEN_IDLE) return NOTHING;
    return this.#release(this.#held, this.#held.length);
  }

  /** Nothing more comes: what did not become a value is none. */
  end(): Buffer {
    const rest = this.#release(this.#held, this.#held.length);
    this.#state = Automaton.START;
    this.#masked = 0;
    return rest;
  }

  #search(data: Buffer, from: number): void {
    const onFound = (end: number, length: number) => this.#mark({ from: end - length, to: end });
    this.#state = this.#automaton.search(this.#state, data, { from, onFound });
  }

  /** Spans come in the order of their ends; one that ends later may begin before those that were found. */
  #mark(span: Span): void {
    const merged = { from: Math.max(span.from, 0), to: span.to };
    for (let last = this.#spans.at(-1); last !== undefined && last.to > merged.from; last = this.#spans.at(-1)) {
      merged.from = Math.min(merged.from, last.from);
      this.#spans.pop();
    }
    this.#spans.push(merged);
  }

  /** Lets go what lies before `until`, and keeps the rest. */
  #release(data: Buffer, until: number): Buffer {
    const out: Buffer[] = [];
    let at = Math.min(this.#masked, data.length);
    let masked = this.#masked;
    for (const { from, to } of this.#spans) {
      // One that begins right there can be masked now: what may still be found begins no sooner.
      if (from > until) break;
      // One that overlaps what is masked already needs no second mask.
      const isNew = from >= masked;
      if (isNew) out.push(data.subarray(at, from), MASK_BYTES);
      masked = Math.max(masked, to);
      at = masked;
    }
    this.#spans = this.#spans.filter(({ from }) => from > until).map(({ from, to }) => ({ from: from - until, to: to - until }));
    if (at < until) out.push(data.subarray(at, until));
    this.#held = until < data.length ? Buffer.from(data.subarray(until)) : NOTHING;
    this.#masked = Math.max(0, masked - until);
    const [only] = out;
    return out.length === 1 && only !== undefined ? only : Buffer.concat(out);
  }
}

/** A whole text at once. */
export function redactText(automaton: Automaton, text: string): string {
  const redactor = new Redactor(automaton);
  return Buffer.concat([redactor.push(Buffer.from(text)), redactor.end()]).toString();
}
