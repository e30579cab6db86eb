import { Random } from "./random.js";
import { type Assignment, combinations, draw, nameOf, type Space } from "./space.js";

/** What a sampler is told of a trial. */
export interface Told {
  parameters: Assignment;
  /** `stopped`: ended before its end, for it did badly. */
  state: "running" | "completed" | "stopped" | "failed";
  /** The lower the better; absent where it reported nothing of use. */
  loss?: number | undefined;
  /** How far it came: of stopped ones, those that came further are the better. */
  step?: number | undefined;
}

/** Says what to try next: from the seed, the trial's number and what is known of the others, and nothing else. */
export interface Sampler {
  /** How many different trials there are; undefined: no end of them. */
  readonly size: number | undefined;
  /** The parameters of a trial, numbered from 1; undefined when all have been tried. */
  propose(number: number, trials: Told[]): Assignment | undefined;
}

/** A space with more combinations is searched as if it had no end. */
export const MAX_COMBINATIONS = 100_000;
/** How often a draw is repeated that gave what was tried before. */
const DRAWS = 50;

/** Every combination in order. */
export class Grid implements Sampler {
  readonly #all: Assignment[];

  constructor(space: Space) {
    this.#all = combinations(space, MAX_COMBINATIONS + 1);
  }

  get size(): number {
    return this.#all.length;
  }

  propose(number: number): Assignment | undefined {
    return this.#all[number - 1];
  }
}

/** How something is drawn; told how often that has given what was tried before. */
interface Drawing {
  random: Random;
  draw: (repeats: number) => Assignment;
}

/** Each trial is drawn by itself; what was tried before is not tried again. */
export class RandomSearch implements Sampler {
  readonly size: number | undefined;
  /** By name; empty where there is no end of them. */
  readonly #all: Map<string, Assignment>;
  readonly #space: Space;
  readonly #seed: number;

  constructor(space: Space, seed: number) {
    this.#space = space;
    this.#seed = seed;
    const all = combinations(space, MAX_COMBINATIONS + 1);
    this.#all = new Map(all.length > MAX_COMBINATIONS ? [] : all.map((each) => [nameOf(each), each]));
    this.size = this.#all.size || undefined;
  }

  propose(number: number, trials: Told[]): Assignment | undefined {
    const random = new Random(`${this.#seed} random ${number}`);
    return this.untried(trials, { random, draw: () => draw(this.#space, random) });
  }

  /** Draws until it is something new; where that does not come by itself, any that is left. */
  untried(trials: Told[], { random, draw: drawOnce }: Drawing): Assignment | undefined {
    const tried = new Set(trials.map(({ parameters }) => nameOf(parameters)));
    for (let count = 0; count < DRAWS; count++) {
      const drawn = drawOnce(count);
      if (!tried.has(nameOf(drawn))) return drawn;
    }
    if (this.size === undefined) return drawOnce(0);
    const left = [...this.#all.keys()].filter((name) => !tried.has(name));
    return this.#all.get(left[random.below(left.length)] ?? "");
  }
}
