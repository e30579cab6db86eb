import { Parzen } from "./parzen.js";
import { Random } from "./random.js";
import { RandomSearch, type Sampler, type Told } from "./sampler.js";
import {
  type Assignment,
  applies,
  bounds,
  type ChoiceDimension,
  type Dimension,
  drawOne,
  fromScale,
  isSame,
  type NumberDimension,
  type Space,
  toScale,
} from "./space.js";

/** Trials that are drawn at random before anything is learned from them. */
const STARTUP = 10;
/** γ: the share of trials that counts as good, and at most how many. */
const GOOD_SHARE = 0.15;
const GOOD_LIMIT = 25;
/** Candidates of which the best is taken. */
const CANDIDATES = 24;

/**
 * The tree-structured Parzen estimator: Bergstra, Bardenet, Bengio, Kégl, "Algorithms for Hyper-Parameter Optimization",
 * NIPS 2011, section 4. The trials are parted into the good, the best γ of them, and the rest; each dimension's values among
 * the good make a density l(x), among the rest g(x); of candidates drawn from l the one with the largest l(x)/g(x) is taken,
 * which is the one with the largest expected improvement (their equation 3). A dimension that applies only beside some value of
 * another is learned from the trials that had it: that is the tree.
 *
 * What the paper leaves open: trials that still run count among the rest, so that several at once do not all try the same;
 * those that were stopped come behind the completed ones, and those that failed are the worst of all.
 */
export class Tpe implements Sampler {
  readonly #space: Space;
  readonly #seed: number;
  readonly #random: RandomSearch;

  constructor(space: Space, seed: number) {
    this.#space = space;
    this.#seed = seed;
    this.#random = new RandomSearch(space, seed);
  }

  get size(): number | undefined {
    return this.#random.size;
  }

  propose(number: number, trials: Told[]): Assignment | undefined {
    const { good, rest } = parted(trials);
    const known = trials.filter((trial) => trial.state !== "running" && trial.loss !== undefined);
    if (known.length < STARTUP) return this.#random.propose(number, trials);
    const random = new Random(`${this.#seed} tpe ${number}`);
    return this.#random.untried(trials, { random, draw: () => this.#learned({ good, rest }, random) });
  }

  #learned({ good, rest }: Parted, random: Random): Assignment {
    const chosen: Assignment = {};
    for (const dimension of this.#space) {
      if (!applies(dimension, chosen)) continue;
      const among = (trials: Told[]) =>
        trials.flatMap(({ parameters }) => {
          const value = parameters[dimension.path];
          return value === undefined ? [] : [value];
        });
      chosen[dimension.path] = best(dimension, { good: among(good), rest: among(rest) }, random);
    }
    return chosen;
  }
}

interface Parted {
  good: Told[];
  rest: Told[];
}

/** The best γ, and all others. */
export function parted(trials: Told[]): Parted {
  const ended = trials.filter(({ state }) => state !== "running").sort(byMerit);
  const count = Math.min(GOOD_LIMIT, Math.ceil(GOOD_SHARE * ended.length));
  const isUsable = ({ state, loss }: Told) => state !== "failed" && loss !== undefined;
  const good = ended.slice(0, count).filter(isUsable);
  return { good, rest: [...ended.slice(good.length), ...trials.filter(({ state }) => state === "running")] };
}

const RANKS = { completed: 0, stopped: 1, failed: 2, running: 3 } as const;

/** Completed ones by what they reached, then stopped ones by how far they came, then those that failed. */
function byMerit(a: Told, b: Told): number {
  const rank = (trial: Told) => (trial.loss === undefined ? RANKS.failed : RANKS[trial.state]);
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (rank(a) === RANKS.stopped && a.step !== b.step) return (b.step ?? 0) - (a.step ?? 0);
  return (a.loss ?? 0) - (b.loss ?? 0);
}

type Values = Assignment[string][];

function best(dimension: Dimension, values: { good: Values; rest: Values }, random: Random): Assignment[string] {
  if (values.good.length === 0) return drawOne(dimension, random);
  return dimension.kind === "choice" ? bestChoice(dimension, values, random) : bestNumber(dimension, values, random);
}

function bestNumber(dimension: NumberDimension, { good, rest }: { good: Values; rest: Values }, random: Random): number {
  const places = (values: Values) => values.flatMap((value) => (typeof value === "number" ? [toScale(dimension, value)] : []));
  const [l, g] = [new Parzen(places(good), bounds(dimension)), new Parzen(places(rest), bounds(dimension))];
  let found = { place: 0, merit: Number.NEGATIVE_INFINITY };
  for (let count = 0; count < CANDIDATES; count++) {
    const place = l.draw(random);
    const merit = Math.log(l.density(place)) - Math.log(g.density(place));
    if (merit > found.merit) found = { place, merit };
  }
  return fromScale(dimension, found.place);
}

/** Probabilities are the counts and one more for each value: nothing is ever ruled out. */
function bestChoice(dimension: ChoiceDimension, { good, rest }: { good: Values; rest: Values }, random: Random): Assignment[string] {
  const shares = (values: Values) => {
    const counts = dimension.values.map((choice) => 1 + values.filter((value) => isSame(value, choice)).length);
    const sum = counts.reduce((total, count) => total + count, 0);
    return counts.map((count) => count / sum);
  };
  const [l, g] = [shares(good), shares(rest)];
  let found = { index: 0, merit: Number.NEGATIVE_INFINITY };
  for (let count = 0; count < CANDIDATES; count++) {
    const index = random.weighted(l);
    const merit = (l[index] ?? 0) / (g[index] ?? 1);
    if (merit > found.merit) found = { index, merit };
  }
  return dimension.values[found.index] ?? null;
}
