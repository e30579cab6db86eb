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
/** Candidates of which the best is taken; half as many each time that this gives what was tried before. */
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
    const known = trials.filter((trial) => trial.state !== "running" && trial.loss !== undefined);
    if (known.length < STARTUP) return this.#random.propose(number, trials);
    const random = new Random(`${this.#seed} tpe ${number}`);
    const choosers = this.#choosers(parted(trials));
    return this.#random.untried(trials, { random, draw: (repeats) => this.#learned(choosers, random, Math.max(1, CANDIDATES >> repeats)) });
  }

  #learned(choosers: Map<string, Chooser>, random: Random, count: number): Assignment {
    const chosen: Assignment = {};
    for (const dimension of this.#space) {
      const choose = choosers.get(dimension.path);
      if (choose && applies(dimension, chosen)) chosen[dimension.path] = choose(random, count);
    }
    return chosen;
  }

  /** What was learned of each dimension. */
  #choosers({ good, rest }: Parted): Map<string, Chooser> {
    const among = (trials: Told[], path: string) =>
      trials.flatMap(({ parameters }) => {
        const value = parameters[path];
        return value === undefined ? [] : [value];
      });
    return new Map(
      this.#space.map((dimension) => {
        const { path } = dimension;
        return [path, chooserOf(dimension, { good: among(good, path), rest: among(rest, path) })];
      }),
    );
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
/** Draws so many candidates and takes the best. */
type Chooser = (random: Random, count: number) => Assignment[string];

function chooserOf(dimension: Dimension, values: { good: Values; rest: Values }): Chooser {
  if (values.good.length === 0) return (random) => drawOne(dimension, random);
  return dimension.kind === "choice" ? choiceOf(dimension, values) : numberOf(dimension, values);
}

function numberOf(dimension: NumberDimension, { good, rest }: { good: Values; rest: Values }): Chooser {
  const places = (values: Values) => values.flatMap((value) => (typeof value === "number" ? [toScale(dimension, value)] : []));
  const [l, g] = [new Parzen(places(good), bounds(dimension)), new Parzen(places(rest), bounds(dimension))];
  return (random, count) => {
    const candidates = Array.from({ length: count }, () => l.draw(random));
    return fromScale(
      dimension,
      largest(candidates, (place) => Math.log(l.density(place)) - Math.log(g.density(place))),
    );
  };
}

/** Probabilities are the counts and one more for each value: nothing is ever ruled out. */
function choiceOf(dimension: ChoiceDimension, { good, rest }: { good: Values; rest: Values }): Chooser {
  const shares = (values: Values) => {
    const counts = dimension.values.map((choice) => 1 + values.filter((value) => isSame(value, choice)).length);
    const sum = counts.reduce((total, count) => total + count, 0);
    return counts.map((count) => count / sum);
  };
  const [l, g] = [shares(good), shares(rest)];
  return (random, count) => {
    const candidates = Array.from({ length: count }, () => random.weighted(l));
    return dimension.values[largest(candidates, (index) => (l[index] ?? 0) / (g[index] ?? 1))] ?? null;
  };
}

function largest(candidates: number[], meritOf: (candidate: number) => number): number {
  let best = { candidate: candidates[0] ?? 0, merit: Number.NEGATIVE_INFINITY };
  for (const candidate of candidates) {
    const merit = meritOf(candidate);
    if (merit > best.merit) best = { candidate, merit };
  }
  return best.candidate;
}
