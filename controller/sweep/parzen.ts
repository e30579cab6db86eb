import type { Random } from "./random.js";

interface Ends {
  low: number;
  high: number;
}

/**
 * The adaptive Parzen estimator of Bergstra et al. 2011, section 4.2: a mixture, all of one weight, of the prior (uniform between
 * the ends) and of a Gaussian at each observation, cut off at the ends. A Gaussian is as wide as the larger of the distances to its
 * neighbours, held between the whole range and a hundredth of it (more while there are few observations).
 */
export class Parzen {
  readonly #ends: Ends;
  readonly #kernels: { at: number; width: number; inside: number }[];

  constructor(observations: number[], ends: Ends) {
    this.#ends = ends;
    const range = ends.high - ends.low;
    const narrowest = range / Math.min(100, 1 + observations.length);
    const sorted = [...observations].sort((a, b) => a - b);
    this.#kernels = sorted.map((at, index) => {
      const distance = Math.max(at - (sorted[index - 1] ?? ends.low), (sorted[index + 1] ?? ends.high) - at);
      const width = Math.min(range, Math.max(narrowest, distance)) || 1;
      return { at, width, inside: phi((ends.high - at) / width) - phi((ends.low - at) / width) };
    });
  }

  density(place: number): number {
    const prior = 1 / (this.#ends.high - this.#ends.low || 1);
    const sum = this.#kernels.reduce((total, { at, width, inside }) => {
      const z = (place - at) / width;
      return total + Math.exp(-0.5 * z * z) / (width * Math.sqrt(2 * Math.PI) * inside);
    }, prior);
    return sum / (this.#kernels.length + 1);
  }

  draw(random: Random): number {
    const { low, high } = this.#ends;
    const kernel = this.#kernels[random.below(this.#kernels.length + 1)];
    if (!kernel) return random.between(low, high);
    // Each centre lies between the ends, so at least about a third of what is drawn does too.
    for (;;) {
      const place = kernel.at + kernel.width * random.normal();
      if (place >= low && place <= high) return place;
    }
  }
}

/** The normal distribution's integral, by Abramowitz and Stegun 7.1.26: wrong by less than 1.5e-7. */
function phi(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  const erf = 1 - poly * Math.exp(-x * x);
  return z < 0 ? (1 - erf) / 2 : (1 + erf) / 2;
}
