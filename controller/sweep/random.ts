/**
 * Random numbers that a seed settles, so that a sweep that runs again draws the same ones: xoshiro128** (Blackman and Vigna,
 * "Scrambled Linear Pseudorandom Number Generators", 2018), its state filled by splitmix32.
 */
export class Random {
  readonly #state: Uint32Array;

  /** @param seed any text: each gives a stream of its own */
  constructor(seed: string) {
    let word = 0x811c9dc5; // FNV-1a of the text
    for (const byte of new TextEncoder().encode(seed)) word = Math.imul(word ^ byte, 0x01000193) >>> 0;
    const next = () => {
      word = (word + 0x9e3779b9) >>> 0;
      let mixed = word;
      mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      return (mixed ^ (mixed >>> 15)) >>> 0;
    };
    this.#state = Uint32Array.from([next(), next(), next(), next()]);
  }

  /** From 0 up to, never including, 1. */
  uniform(): number {
    return this.#word() / 2 ** 32;
  }

  /** A whole number from 0 up to, never including, `limit`. */
  below(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** Standard normal, by Box and Muller. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** One of the indices, each as likely as its weight says. */
  weighted(weights: number[]): number {
    let left = this.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
    for (const [index, weight] of weights.entries()) {
      left -= weight;
      if (left < 0) return index;
    }
    return weights.length - 1; // what rounding left over
  }

  #word(): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#state;
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const [x, y] = [c ^ a, d ^ b];
    this.#state.set([a ^ y, b ^ x, x ^ (b << 9), rotate(y, 11)]);
    return result;
  }
}

const rotate = (word: number, by: number) => ((word << by) | (word >>> (32 - by))) >>> 0;
