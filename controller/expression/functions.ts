import { closest, type ParameterValue } from "../../protocol/index.js";
import { limited, listOf, numberOf, order, show, textOf, wrong } from "./values.js";

/** As many as a matrix may have. */
const MAX_RANGE = 10_000;

interface PlainFunction {
  least: number;
  most: number;
  use: string;
  run: (args: ParameterValue[]) => ParameterValue;
}

/** Those that need nothing but their arguments. */
const PLAIN: Record<string, PlainFunction> = {
  json: { least: 1, most: 1, use: "json(value)", run: ([value]) => limited(JSON.stringify(value)) },
  join: { least: 1, most: 2, use: "join(list, separator)", run: ([list, by = ","]) => limited(listOf(list!).map(textOf).join(textOf(by))) },
  length: { least: 1, most: 1, use: "length(list, map or text)", run: ([value]) => lengthOf(value!) },
  min: { least: 1, most: 100, use: "min(list) or min(a, b, …)", run: (args) => extreme(args, "min") },
  max: { least: 1, most: 100, use: "max(list) or max(a, b, …)", run: (args) => extreme(args, "max") },
  sum: { least: 1, most: 1, use: "sum(list)", run: ([list]) => listOf(list!).reduce<number>((sum, value) => sum + numberOf(value), 0) },
  range: { least: 1, most: 3, use: "range(end), range(start, end) or range(start, end, by)", run: (args) => range(args.map(numberOf)) },
  basename: { least: 1, most: 1, use: "basename(path)", run: ([path]) => textOf(path!).replace(/\/+$/, "").split("/").at(-1)! },
  match: {
    least: 2,
    most: 2,
    use: "match(text, pattern with * and ?)",
    run: ([text, pattern]) => matches(textOf(text!), textOf(pattern!)),
  },
  upper: { least: 1, most: 1, use: "upper(text)", run: ([text]) => textOf(text!).toUpperCase() },
  lower: { least: 1, most: 1, use: "lower(text)", run: ([text]) => textOf(text!).toLowerCase() },
  round: { least: 1, most: 2, use: "round(number, digits)", run: ([value, digits = 0]) => rounded(numberOf(value!), numberOf(digits)) },
};

/** Those that see where they are used: `evaluate` knows them. */
const SEEING: Record<string, Omit<PlainFunction, "run">> = {
  default: { least: 2, most: 2, use: "default(value, otherwise)" },
  now: { least: 0, most: 0, use: "now()" },
  always: { least: 0, most: 0, use: "always()" },
  success: { least: 0, most: 0, use: "success()" },
  failure: { least: 0, most: 0, use: "failure()" },
  raw: { least: 1, most: 1, use: "raw(value)" },
};

export const FUNCTIONS = [...Object.keys(SEEING), ...Object.keys(PLAIN)];

/** What is wrong with a call, if something is. */
export function checkCall(name: string, args: number): string | undefined {
  const found = Object.hasOwn(PLAIN, name) ? PLAIN[name] : Object.hasOwn(SEEING, name) ? SEEING[name] : undefined;
  if (!found) {
    const meant = closest(name, FUNCTIONS);
    return `there is no function ${name}${meant ? `; did you mean ${meant}?` : `; there are: ${FUNCTIONS.join(", ")}`}`;
  }
  return args < found.least || args > found.most ? `it is used like ${found.use}` : undefined;
}

/** Undefined: it is none of those that need nothing but their arguments. */
export function callPlain(name: string, args: ParameterValue[]): ParameterValue | undefined {
  return Object.hasOwn(PLAIN, name) ? PLAIN[name]!.run(args) : undefined;
}

function lengthOf(value: ParameterValue): number {
  if (typeof value === "string" || Array.isArray(value)) return value.length;
  if (typeof value === "object" && value !== null) return Object.keys(value).length;
  throw wrong(`length of ${show(value)}: expected a list, a map or a text`);
}

function extreme(args: ParameterValue[], which: "min" | "max"): ParameterValue {
  const values = args.length === 1 ? listOf(args[0]!) : args;
  if (values.length === 0) throw wrong(`${which} of an empty list`);
  return values.reduce((best, value) => {
    const above = order(value, best);
    return (which === "max" ? above > 0 : above < 0) ? value : best;
  });
}

function range(args: number[]): number[] {
  const [start, end, by = 1] = args.length === 1 ? [0, args[0]!] : (args as [number, number, number?]);
  const count = Math.max(0, Math.ceil((end - start) / by));
  if (!Number.isFinite(count)) throw wrong(`range(${args.join(", ")}) has no end`);
  if (count > MAX_RANGE) throw wrong(`range(${args.join(", ")}) has ${count} members; the limit is ${MAX_RANGE}`);
  return Array.from({ length: count }, (_, i) => start + i * by);
}

function rounded(value: number, digits: number): number {
  if (!Number.isInteger(digits) || digits < 0 || digits > 15) throw wrong(`round to ${digits} digits: expected 0 to 15`);
  return Number(value.toFixed(digits));
}

/** `*` is any text, `?` one character. In time that grows with the product of both lengths at worst, unlike a regular expression. */
export function matches(text: string, pattern: string): boolean {
  let [t, p, star, resume] = [0, 0, -1, 0];
  while (t < text.length) {
    if (pattern[p] === "*") {
      star = p++;
      resume = t;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
