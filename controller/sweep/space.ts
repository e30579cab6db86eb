import type { ParameterValue } from "../../protocol/index.js";
import type { Random } from "./random.js";

/** Values of a trial's parameters, by `Section/name`. One that does not apply is not there. */
export type Assignment = Record<string, ParameterValue>;

interface Common {
  /** `Section/name`. */
  path: string;
  /** Only there while each of these has one of the values. */
  when: { path: string; values: ParameterValue[] }[];
}

/** A number between two ends, both included. */
export interface NumberDimension extends Common {
  kind: "number";
  min: number;
  max: number;
  /** Each power of ten is as likely as the next. */
  isLog: boolean;
  /** Only `min`, `min + step`, … */
  step?: number | undefined;
}

/** One of a few values, in no order. */
export interface ChoiceDimension extends Common {
  kind: "choice";
  values: ParameterValue[];
}

export type Dimension = NumberDimension | ChoiceDimension;

/** What a sweep searches through: dimensions, each behind those that decide whether it applies. */
export type Space = readonly Dimension[];

/** Whether a dimension applies beside the values that were chosen before it. */
export function applies(dimension: Dimension, chosen: Assignment): boolean {
  return dimension.when.every(({ path, values }) => values.some((value) => isSame(value, chosen[path])));
}

export function isSame(a: ParameterValue | undefined, b: ParameterValue | undefined): boolean {
  return a === b || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));
}

/** Where a sampler works: on a log scale where that is asked for, with room at the ends so that each step is as likely. */
export function bounds(dimension: NumberDimension): { low: number; high: number } {
  const half = dimension.step === undefined ? 0 : dimension.step / 2;
  if (!dimension.isLog) return { low: dimension.min - half, high: dimension.max + half };
  return { low: Math.log(dimension.min - half), high: Math.log(dimension.max + half) };
}

export const toScale = (dimension: NumberDimension, value: number) => (dimension.isLog ? Math.log(value) : value);

/** The value at a place on the scale, rounded to a step and held within the ends. */
export function fromScale(dimension: NumberDimension, place: number): number {
  const { min, max, step, isLog } = dimension;
  const raw = isLog ? Math.exp(place) : place;
  if (step === undefined) return Math.min(max, Math.max(min, raw));
  const count = Math.min(stepsOf(dimension), Math.max(0, Math.round((raw - min) / step)));
  return atStep(dimension, count);
}

/** How many steps there are beyond the first value. */
function stepsOf({ min, max, step = 1 }: NumberDimension): number {
  return Math.floor((max - min) / step + 1e-9);
}

/** Without the digits that adding steps leaves behind: 0.1 + 2 · 0.1 is 0.3. */
const atStep = ({ min, step = 1 }: NumberDimension, count: number) => Number((min + count * step).toPrecision(12));

/** Draws every value as the space says, without looking at any result. */
export function draw(space: Space, random: Random): Assignment {
  const chosen: Assignment = {};
  for (const dimension of space) if (applies(dimension, chosen)) chosen[dimension.path] = drawOne(dimension, random);
  return chosen;
}

export function drawOne(dimension: Dimension, random: Random): ParameterValue {
  if (dimension.kind === "choice") return dimension.values[random.below(dimension.values.length)] ?? null;
  const { low, high } = bounds(dimension);
  return fromScale(dimension, random.between(low, high));
}

const hasEnd = (dimension: Dimension) => dimension.kind === "choice" || dimension.step !== undefined;

/** The first values of a dimension that has an end, in order: `0` to `2 ** 40` by one has more than there is room for. */
function valuesOf(dimension: Dimension, limit: number): ParameterValue[] {
  if (dimension.kind === "choice") return dimension.values.slice(0, limit);
  return Array.from({ length: Math.min(limit, stepsOf(dimension) + 1) }, (_, count) => atStep(dimension, count));
}

/** Every combination, the last dimension changing first; at most `limit` of them. None where there is no end of them. */
export function combinations(space: Space, limit: number): Assignment[] {
  if (!space.every(hasEnd)) return [];
  let all: Assignment[] = [{}];
  for (const dimension of space) all = withValues(all, dimension, limit);
  return all;
}

/** The first of them come of the first: no dimension takes a combination away. */
function withValues(all: Assignment[], dimension: Dimension, limit: number): Assignment[] {
  const values = valuesOf(dimension, limit);
  const next: Assignment[] = [];
  for (const chosen of all) {
    if (!applies(dimension, chosen)) next.push(chosen);
    else for (const value of values.slice(0, limit - next.length)) next.push({ ...chosen, [dimension.path]: value });
    if (next.length >= limit) break;
  }
  return next;
}

/** The same for the same values, whatever their order. */
export function nameOf(assignment: Assignment): string {
  return JSON.stringify(Object.entries(assignment).sort(([a], [b]) => (a < b ? -1 : 1)));
}
