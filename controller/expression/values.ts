import { NavvyError, type ParameterValue } from "../../protocol/index.js";

/** Texts that an expression makes are no longer than that. */
export const MAX_TEXT = 1_000_000;

/** Something that has fields and is more than a value: a step, an artifact, a metric. */
export class Place {
  /** For errors: `step prep`. */
  readonly what: string;
  readonly get: (key: string | number) => Value;
  /** Its value where one is asked for. @throws NavvyError: it has none */
  readonly plain: () => ParameterValue;
  readonly members: (() => Place[]) | undefined;

  constructor(of: { what: string; get: (key: string | number) => Value; plain: () => ParameterValue; members?: () => Place[] }) {
    this.what = of.what;
    this.get = of.get;
    this.plain = of.plain;
    this.members = of.members;
  }
}

/** A place on the machine of the task that is filled in: the agent puts the path there. */
export class PathValue {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Value = ParameterValue | Place | PathValue;

/** A value that could have been there and is not: what `default()` is for. */
export const missing = (message: string) => new NavvyError("not_found", message);

export const wrong = (message: string, fix?: string) => new NavvyError("invalid_argument", message, fix === undefined ? {} : { fix });

export function plain(value: Value): ParameterValue {
  if (value instanceof Place) return value.plain();
  return value instanceof PathValue ? value.text : value;
}

/** As it stands in a longer text: nothing for null, JSON for lists and maps. */
export function textOf(value: ParameterValue): string {
  if (value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** For errors: short, and told apart by its type. */
export function show(value: ParameterValue): string {
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** Outputs of shells are texts: "true" and "false" count. */
export function isTrue(value: ParameterValue): boolean {
  if (typeof value === "boolean") return value;
  if (value === null) return false;
  if (value === "true" || value === "false") return value === "true";
  throw wrong(`expected true or false, got ${show(value)}`);
}

/** A text that is a number counts as one; undefined: it is none. */
export function asNumber(value: ParameterValue): number | undefined {
  if (typeof value === "number") return value;
  return typeof value === "string" && value.trim() !== "" && !Number.isNaN(Number(value)) ? Number(value) : undefined;
}

export function numberOf(value: ParameterValue): number {
  const number = asNumber(value);
  if (number === undefined) throw wrong(`expected a number, got ${show(value)}`);
  return number;
}

export function listOf(value: ParameterValue): ParameterValue[] {
  if (!Array.isArray(value)) throw wrong(`expected a list, got ${show(value)}`);
  return value;
}

export function isSame(left: ParameterValue, right: ParameterValue): boolean {
  const [a, b] = alike(left, right);
  if (Object.is(a, b) || a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const [ours, theirs] = [Object.entries(a), new Map(Object.entries(b))];
  return ours.length === theirs.size && ours.every(([key, value]) => theirs.has(key) && isSame(value, theirs.get(key)!));
}

/** Beside a number a text that is one counts as one, as in `navvy task ls --where`. */
function alike(left: ParameterValue, right: ParameterValue): [ParameterValue, ParameterValue] {
  if (typeof left === "number") return [left, asNumber(right) ?? right];
  if (typeof right === "number") return [asNumber(left) ?? left, right];
  return [left, right];
}

/** Below, at or above 0; NaN is none of them. @throws NavvyError: they have no order */
export function order(left: ParameterValue, right: ParameterValue): number {
  const [a, b] = alike(left, right);
  if (typeof a === "number" && typeof b === "number") return a - b || (a === b ? 0 : a > b ? 1 : a < b ? -1 : Number.NaN);
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  throw wrong(`${show(left)} and ${show(right)} have no order: compare two numbers or two texts`);
}

export function plus(left: ParameterValue, right: ParameterValue): ParameterValue {
  if (Array.isArray(left) && Array.isArray(right)) return [...left, ...right];
  const [a, b] = alike(left, right);
  if (typeof a === "number" && typeof b === "number") return a + b;
  const isText = typeof left === "string" || typeof right === "string";
  if (isText && [left, right].every((value) => typeof value !== "object" || value === null)) return limited(textOf(left) + textOf(right));
  throw wrong(`${show(left)} + ${show(right)}: add two numbers, two lists, or join texts`);
}

export function contains(of: ParameterValue, value: ParameterValue): boolean {
  if (Array.isArray(of)) return of.some((each) => isSame(each, value));
  if (typeof of === "string") return of.includes(textOf(value));
  if (typeof of === "object" && of !== null) return Object.hasOwn(of, textOf(value));
  throw wrong(`expected a list, a text or a map after "in", got ${show(of)}`);
}

export function limited(text: string): string {
  if (text.length > MAX_TEXT) throw wrong(`a text of ${text.length} characters is over the limit of ${MAX_TEXT}`);
  return text;
}
