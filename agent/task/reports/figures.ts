import { addPoint, MAX_SUMMARY_METRICS, type MetricSummary, type Point } from "../../../protocol/index.js";

/** An attempt's different metrics; the points of further ones are dropped. */
export const MAX_METRICS = 5_000;
export const MAX_NAME_CHARACTERS = 256;
/** What the names of the metrics in the record may take in all. */
const MAX_NAMES_BYTES = 8 * 1024;
/** What the agent measures of a task has its place whatever the task names. */
const SYSTEM = { prefix: "system/", metrics: 40 };
const SHOWN_CHARACTERS = 60;

/** What of an attempt's metrics an adopting agent must know. */
export interface FiguresState {
  /** Each metric, with the step that a point without one gets. */
  steps: [string, number][];
  /** JSON has no word for some figures: those are text. */
  metrics: [string, Record<keyof MetricSummary, number | string>][];
  longNames: number;
  dropped: number;
}

/** The state in which a record's figures are gone on with. */
export function figuresStateOf(metrics: Record<string, MetricSummary>): FiguresState {
  const all = Object.entries(metrics);
  return {
    steps: all.map(([key, { lastStep }]) => [key, lastStep + 1]),
    metrics: all.map(([key, figures]) => [key, mapped(figures, word)]),
    longNames: 0,
    dropped: 0,
  };
}

/** Something to tell; the same key replaces what was told before. */
export type Tell = (key: string, text: string) => void;

/**
 * The metrics of an attempt: which there are, and the figures of the first ones for the record. A program that makes up names without end,
 * or endless ones, costs no more than this.
 */
export class Figures {
  readonly #steps: Map<string, number>;
  readonly #metrics: Map<string, MetricSummary>;
  readonly #tell: Tell;
  #namesBytes = 0;
  #longNames: number;
  #dropped: number;

  constructor(tell: Tell, state?: FiguresState) {
    this.#tell = tell;
    this.#steps = new Map(state?.steps);
    this.#metrics = new Map(state?.metrics.map(([key, figures]) => [key, mapped(figures, Number)]));
    for (const name of this.#metrics.keys()) this.#namesBytes += Buffer.byteLength(name);
    this.#longNames = state?.longNames ?? 0;
    this.#dropped = state?.dropped ?? 0;
  }

  get state(): FiguresState {
    const metrics = Array.from(this.#metrics, ([key, figures]) => [key, mapped(figures, word)] as FiguresState["metrics"][number]);
    return { steps: [...this.#steps], metrics, longNames: this.#longNames, dropped: this.#dropped };
  }

  /** For the record. A copy: the record that is being written does not change under it. */
  get reported(): { metrics: Record<string, MetricSummary>; metricsOmitted: number } {
    return { metrics: Object.fromEntries(this.#metrics), metricsOmitted: this.#steps.size - this.#metrics.size };
  }

  /**
   * Takes a point into the figures. Without a step they count up by themselves, each metric for itself.
   * @returns the point as it is to be stored; undefined: it is dropped
   */
  add({ key, step: given, value, time }: Omit<Point, "step"> & { step: number | undefined }): Point | undefined {
    const next = this.#steps.get(key);
    if (next === undefined && !this.#isTaken(key)) return undefined;
    const step = given ?? next ?? 0;
    this.#steps.set(key, given === undefined ? step + 1 : (next ?? 0));
    const point = { key, step, value, time };
    const known = this.#metrics.get(key);
    if (known || (next === undefined && this.#hasRoom(key))) this.#metrics.set(key, addPoint(known, point));
    return point;
  }

  /** What was left out, in the end. */
  finish(): void {
    if (this.#longNames > 1) this.#tell("long names", `${this.#longNames} points were left out: their metrics' ${tooLong}`);
    if (this.#dropped > 0) this.#tell("metrics", `${tooMany}: ${this.#dropped} points of further ones were left out`);
  }

  #isTaken(key: string): boolean {
    if (key.length > MAX_NAME_CHARACTERS) {
      if (this.#longNames++ === 0)
        this.#tell(
          "long names",
          `a metric was left out: its name of ${key.length} characters, ${key.slice(0, SHOWN_CHARACTERS)}…, is ${overLimit}`,
        );
      return false;
    }
    if (this.#steps.size < MAX_METRICS + placesFor(key)) return true;
    if (this.#dropped++ === 0) this.#tell("metrics", `${tooMany}: points of further ones are left out, the first was of ${key}`);
    return false;
  }

  #hasRoom(key: string): boolean {
    const bytes = this.#namesBytes + Buffer.byteLength(key);
    if (this.#metrics.size >= MAX_SUMMARY_METRICS + placesFor(key) || bytes > MAX_NAMES_BYTES + placesFor(key) * 64) return false;
    this.#namesBytes = bytes;
    return true;
  }
}

const word = (figure: number | string) => (Number.isFinite(figure) ? figure : String(figure));
const placesFor = (key: string) => (key.startsWith(SYSTEM.prefix) ? SYSTEM.metrics : 0);
const overLimit = `longer than ${MAX_NAME_CHARACTERS}`;
const tooLong = `names are ${overLimit} characters`;
const tooMany = `a task has at most ${MAX_METRICS} different metrics`;

function mapped<T, U>(figures: Record<keyof MetricSummary, T>, by: (figure: T) => U): Record<keyof MetricSummary, U> {
  return Object.fromEntries(Object.entries(figures).map(([name, figure]) => [name, by(figure)])) as Record<keyof MetricSummary, U>;
}
