import { type Clause, type Comparison, type Operand, parseClause } from "./condition-parser.js";
import type { TaskRecord } from "./task-record.js";

/** What a condition is about: a record, or the part of it that matters. */
export type ConditionSubject = Pick<TaskRecord, "reported"> & { spec?: Pick<TaskRecord["spec"], "parameters"> };

/** A question to a task's record, as lists, controllers and triggers ask it: `val/acc.max > 0.9 and epoch >= 10`. */
export interface Condition {
  text: string;
  /** Names that it asks for, each once. */
  names: string[];
  /** What is not there meets nothing, not even `!=`. */
  meets: (record: ConditionSubject) => boolean;
}

/**
 * A name is a metric's (`loss`: its last value; `loss.min`, `.max`, `.last`, `.lastStep`, `.minStep`, `.maxStep`, `.count`), else an output's.
 * `outputs.NAME` and `params.Section/name` name these alone.
 * @throws NavvyError invalid_argument, with a caret below the place
 */
export function parseCondition(text: string): Condition {
  const clause = parseClause(text);
  return { text, names: [...new Set(namesIn(clause))], meets: (record) => isMet(clause, record) };
}

const FIGURES = new Set(["last", "min", "max", "lastStep", "minStep", "maxStep", "count"]);

/** What a name of a condition stands for; undefined: there is nothing of that name. */
export function reportedValue(name: string, { reported, spec }: ConditionSubject): unknown {
  const output = own(reported.outputs, name);
  if (name.startsWith("outputs.")) return own(reported.outputs, name.slice("outputs.".length));
  if (name.startsWith("params."))
    return parameter(name.slice("params.".length), spec?.parameters ?? {}) ?? own(reported.params ?? {}, name.slice(7));
  const metric = own(reported.metrics, name);
  if (metric) return metric.last;
  const dot = name.lastIndexOf(".");
  const figure = name.slice(dot + 1);
  if (dot > 0 && FIGURES.has(figure)) {
    const figures = own(reported.metrics, name.slice(0, dot));
    if (figures) return figures[figure as keyof typeof figures];
  }
  return output;
}

function parameter(path: string, parameters: TaskRecord["spec"]["parameters"]): unknown {
  const slash = path.indexOf("/");
  const section = slash < 0 ? "General" : path.slice(0, slash);
  return own(own(parameters, section) ?? {}, path.slice(slash + 1));
}

/** A task chose the names: `constructor` is one like any other. */
function own<T>(of: Record<string, T>, name: string): T | undefined {
  return Object.hasOwn(of, name) ? of[name] : undefined;
}

function isMet(clause: Clause, record: ConditionSubject): boolean {
  switch (clause.op) {
    case "and":
      return clause.clauses.every((each) => isMet(each, record));
    case "or":
      return clause.clauses.some((each) => isMet(each, record));
    case "not":
      return !isMet(clause.clause, record);
    default: {
      const [left, right] = [clause.left, clause.right].map((each) => ("name" in each ? reportedValue(each.name, record) : each.value));
      return left !== undefined && right !== undefined && compare(clause.op, ...alike(left, right));
    }
  }
}

/** An output may be the text of a number: beside a number it counts as one. */
function alike(left: unknown, right: unknown): [unknown, unknown] {
  const number = (value: unknown) =>
    typeof value === "string" && value.trim() !== "" && !Number.isNaN(Number(value)) ? Number(value) : value;
  if (typeof left === "number") return [left, number(right)];
  if (typeof right === "number") return [number(left), right];
  return [left, right];
}

function compare(op: Comparison, left: unknown, right: unknown): boolean {
  if (op === "==" || op === "!=") return isSame(left, right) === (op === "==");
  const areOrdered = typeof left === typeof right && (typeof left === "number" || typeof left === "string");
  if (!areOrdered) return false;
  const [a, b] = [left as number, right as number];
  return { ">": a > b, ">=": a >= b, "<": a < b, "<=": a <= b }[op];
}

/** NaN is NaN: whoever asks for it wants to find what diverged. */
function isSame(left: unknown, right: unknown): boolean {
  return left === right || Object.is(left, right) || (isStructure(left) && JSON.stringify(left) === JSON.stringify(right));
}

const isStructure = (value: unknown) => typeof value === "object" && value !== null;

function namesIn(clause: Clause): string[] {
  if (clause.op === "and" || clause.op === "or") return clause.clauses.flatMap(namesIn);
  if (clause.op === "not") return namesIn(clause.clause);
  return [clause.left, clause.right].flatMap((each: Operand) => ("name" in each ? [each.name] : []));
}
