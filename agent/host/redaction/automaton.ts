/** Where a search stands. How it is numbered says nothing outside, but that a negative one ends a pattern. */
export type State = number;

/**
 * Finds many byte strings at once (Aho and Corasick): one table look-up for each byte, however many patterns there are. Every state
 * knows how many of the last bytes may still become a match, and how long the longest pattern is that ends here.
 */
export class Automaton {
  static readonly START: State = 0;
  /** Bytes of the longest pattern. */
  readonly longest: number;
  /** Bytes that behave alike share a column: those of no pattern are all of class 0. */
  readonly #classOf = new Uint8Array(256);
  readonly #classes: number;
  /** By a state's row and a byte's class: the row of the next, inverted where a pattern ends there. */
  readonly #next: Int32Array;
  readonly #depth: Int32Array;
  readonly #found: Int32Array;

  constructor(patterns: readonly Uint8Array[]) {
    let classes = 1;
    let bytes = 0;
    for (const pattern of patterns) {
      bytes += pattern.length;
      for (const byte of pattern) if (this.#classOf[byte] === 0) this.#classOf[byte] = classes++;
    }
    this.#classes = classes;
    this.longest = patterns.reduce((most, { length }) => Math.max(most, length), 0);
    const next = new Int32Array((bytes + 1) * classes);
    this.#depth = new Int32Array(bytes + 1);
    this.#found = new Int32Array(bytes + 1);
    const states = this.#plant(patterns, next);
    this.#link(next, states);
    this.#next = next.slice(0, states * classes).map((state) => ((this.#found[state] ?? 0) > 0 ? ~(state * classes) : state * classes));
  }

  /** Goes through the bytes from there on, and tells of each place where patterns end: the place behind it, and the longest's length. */
  search(state: State, data: Uint8Array, { from, onFound }: { from: number; onFound: (end: number, length: number) => void }): State {
    const [next, classOf] = [this.#next, this.#classOf];
    let row = state;
    for (let at = from; at < data.length; at++) {
      const byte = data[at] ?? 0;
      row = next[(row < 0 ? ~row : row) + (classOf[byte] ?? 0)] ?? 0;
      if (row < 0) onFound(at + 1, this.#found[~row / this.#classes] ?? 0);
    }
    return row;
  }

  /** How many of the last bytes are the beginning of a pattern. */
  depth(state: State): number {
    return this.#depth[(state < 0 ? ~state : state) / this.#classes] ?? 0;
  }

  /** The tree of all beginnings. @returns how many there are */
  #plant(patterns: readonly Uint8Array[], next: Int32Array): number {
    let states = 1;
    for (const pattern of patterns) {
      let state = 0;
      for (const byte of pattern) {
        const at = state * this.#classes + (this.#classOf[byte] ?? 0);
        if (next[at] === 0) {
          this.#depth[states] = (this.#depth[state] ?? 0) + 1;
          next[at] = states++;
        }
        state = next[at] ?? 0;
      }
      this.#found[state] = pattern.length;
    }
    return states;
  }

  /** Breadth first: what does not go on at one state goes on at that of its longest ending that is a beginning too. */
  #link(next: Int32Array, states: number): void {
    const classes = this.#classes;
    const fallback = new Int32Array(states);
    const queue = new Int32Array(states);
    let length = 1;
    for (let head = 0; head < length; head++) {
      const state = queue[head] ?? 0;
      const behind = fallback[state] ?? 0;
      this.#found[state] = Math.max(this.#found[state] ?? 0, this.#found[behind] ?? 0);
      for (let each = 0; each < classes; each++) {
        const at = state * classes + each;
        const child = next[at] ?? 0;
        const elsewhere = state === 0 ? 0 : (next[behind * classes + each] ?? 0);
        if (child === 0) next[at] = elsewhere;
        else {
          fallback[child] = elsewhere;
          queue[length++] = child;
        }
      }
    }
  }
}
