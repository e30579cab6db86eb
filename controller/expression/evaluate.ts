import { isNavvyError, NavvyError, type ParameterValue } from "../../protocol/index.js";
import { callPlain } from "./functions.js";
import { type Expression, type Node, type NodeOf, RUN_FIELDS, STEP_FIELDS } from "./node.js";
import type { Scope } from "./scope.js";
import { at, list, own, stepPlace } from "./step-place.js";
import { contains, isSame, isTrue, missing, numberOf, order, PathValue, Place, plain, plus, show, type Value, wrong } from "./values.js";

const MAX_STEPS = 250_000;

/**
 * The value of an expression, with its type. A metric alone is its last value; an artifact alone is a map of `task`, `name`, `url`,
 * `sha256` and `size`.
 * @throws NavvyError not_found (what it asks for is not there), invalid_argument; both name the expression and the cause
 */
export function evaluate(expression: Expression, scope: Scope): ParameterValue {
  return plainOf(expression, () => new Evaluation(scope).valueOf(expression.node));
}

/** What goes into a script: `isRaw` where the author asked for it with `raw()`, a path as such. */
export function evaluateForScript(expression: Expression, scope: Scope): { value: ParameterValue | PathValue; isRaw: boolean } {
  const { node } = expression;
  const isRaw = node.kind === "call" && node.name === "raw";
  let path: PathValue | undefined;
  const value = plainOf(expression, () => {
    const found = new Evaluation(scope).valueOf(isRaw ? node.args[0]! : node);
    if (found instanceof PathValue) path = found;
    return found;
  });
  return { value: path ?? value, isRaw };
}

function plainOf({ source }: Expression, read: () => Value): ParameterValue {
  try {
    return plain(read());
  } catch (error) {
    if (!isNavvyError(error)) throw error;
    const { code, why, fix, detail } = error;
    throw new NavvyError(code, `\${${source}}: ${error.message}`, { cause: error, detail, fix, ...(why === undefined ? {} : { why }) });
  }
}

/** Inside `.map()` and `.best()`: the member whose fields can be used bare, and its name if it has one. */
interface Local {
  member: Place;
  name: string;
}

class Evaluation {
  readonly #scope: Scope;
  readonly #locals: Local[] = [];
  #steps = 0;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  valueOf(node: Node): Value {
    if (++this.#steps > MAX_STEPS) throw wrong(`it takes more than ${MAX_STEPS} steps`);
    switch (node.kind) {
      case "value":
        return node.value;
      case "list":
        return node.items.map((item) => this.#plain(item));
      case "name":
        return this.#name(node.name);
      case "member":
        return this.#member(node);
      case "index":
        return this.#index(node);
      case "call":
        return this.#call(node);
      case "method":
        return this.#method(node);
      case "unary":
        return node.op === "!" ? !isTrue(this.#plain(node.of)) : -numberOf(this.#plain(node.of));
      case "binary":
        return this.#binary(node);
      case "choice":
        return this.valueOf(isTrue(this.#plain(node.condition)) ? node.whenTrue : node.whenFalse);
    }
  }

  #plain(node: Node): ParameterValue {
    return plain(this.valueOf(node));
  }

  #name(name: string): Value {
    const local = this.#locals.at(-1);
    const named = this.#locals.findLast((each) => each.name === name);
    if (named) return named.member;
    if (local && STEP_FIELDS.some((field) => field === name) && name !== "params") return local.member.get(name);
    if (name === "round") {
      if (this.#scope.round === undefined) throw wrong("round is there only in a step that runs again (until)");
      return this.#scope.round;
    }
    const root = this.#root(name);
    if (root) return root;
    if (name === "steps") throw wrong("steps is no value: name one, as in steps.prep.outputs.rows");
    return this.#step(name);
  }

  #root(name: string): Place | undefined {
    const { params, run, matrix } = this.#scope;
    if (name === "params" || name === "pipeline") return mapPlace("the pipeline's parameters", params);
    if (name === "run") return mapPlace(`run (${RUN_FIELDS.join(", ")})`, { ...run });
    if (name === "secrets") throw wrong("a secret stands in env alone", 'env: {TOKEN: "${secrets.TOKEN}"}');
    if (name === "inputs") throw wrong("inputs are known to the agent alone: write ${inputs.NAME} by itself");
    if (name !== "matrix") return undefined;
    if (!matrix) throw wrong("matrix is there only in a step that has one");
    return mapPlace("the matrix", matrix);
  }

  #step(name: string): Place {
    const view = this.#scope.step(name);
    if (!view) throw wrong(`there is no step ${name}`);
    return stepPlace(view, (of, artifact) => this.#scope.pathOf(of, artifact));
  }

  #member({ of, name }: NodeOf<"member">): Value {
    if (of.kind === "name" && of.name === "steps" && !this.#locals.some((each) => each.name === "steps")) return this.#step(name);
    return fieldOf(this.valueOf(of), name);
  }

  #index({ of, index }: NodeOf<"index">): Value {
    const base = this.valueOf(of);
    const key = this.#plain(index);
    if (typeof key !== "number" && typeof key !== "string") throw wrong(`expected a number or a text in [ ], got ${show(key)}`);
    return fieldOf(base, key);
  }

  #call({ name, args }: NodeOf<"call">): Value {
    switch (name) {
      case "default":
        return this.#default(args[0]!, args[1]!);
      case "always":
        return true;
      case "success":
        return this.#scope.status.success;
      case "failure":
        return this.#scope.status.failure;
      case "now":
        return this.#scope.now;
      case "raw":
        throw wrong("raw() is for shell scripts alone, around the whole expression: ${raw(params.flags)}");
      default:
        return (
          callPlain(
            name,
            args.map((arg) => this.#plain(arg)),
          ) ?? null
        );
    }
  }

  /** The second where the first is not there, or null. */
  #default(first: Node, otherwise: Node): Value {
    const locals = this.#locals.length;
    try {
      const value = this.valueOf(first);
      if ((value instanceof Place ? value.plain() : value) !== null) return value;
    } catch (error) {
      if (!isNavvyError(error, "not_found")) throw error;
      this.#locals.length = locals;
    }
    return this.valueOf(otherwise);
  }

  #method({ of, name, args }: NodeOf<"method">): Value {
    const step = this.valueOf(of);
    if (!(step instanceof Place) || !step.members) {
      throw wrong(`${name}() is for a step with a matrix${step instanceof Place ? `: ${step.what} has none` : ""}`);
    }
    const members = step.members();
    if (name === "map") {
      const [variable, body] = args.length === 2 ? [args[0] as NodeOf<"name">, args[1]!] : [undefined, args[0]!];
      return members.map((member) => plain(this.#with({ member, name: variable?.name ?? "task" }, body)));
    }
    const which = args[1] ? this.#plain(args[1]) : "max";
    if (which !== "min" && which !== "max") throw wrong(`best() takes 'max' or 'min', got ${show(which)}`);
    return this.#best({ what: step.what, members, by: args[0]!, which });
  }

  /** Members without the figure, or with one that is not a number, take no part. */
  #best({ what, members, by, which }: { what: string; members: Place[]; by: Node; which: "min" | "max" }): Place {
    let best: { member: Place; value: ParameterValue } | undefined;
    let cause: Error | undefined;
    for (const member of members) {
      const value = this.#figure(member, by);
      if (value instanceof Error) cause ??= value;
      else if (!Number.isNaN(value) && (!best || (which === "max" ? order(value, best.value) > 0 : order(value, best.value) < 0)))
        best = { member, value };
    }
    if (best) return best.member;
    throw missing(`none of the ${members.length} members of ${what} can be compared${cause ? `: ${cause.message}` : ""}`);
  }

  #figure(member: Place, by: Node): ParameterValue | Error {
    try {
      return plain(this.#with({ member, name: "task" }, by));
    } catch (error) {
      if (isNavvyError(error, "not_found")) return error;
      throw error;
    }
  }

  #with(local: Local, node: Node): Value {
    this.#locals.push(local);
    try {
      return this.valueOf(node);
    } finally {
      this.#locals.pop();
    }
  }

  #binary({ op, left, right }: NodeOf<"binary">): ParameterValue {
    if (op === "||") return isTrue(this.#plain(left)) || isTrue(this.#plain(right));
    if (op === "&&") return isTrue(this.#plain(left)) && isTrue(this.#plain(right));
    return compute(op, this.#plain(left), this.#plain(right));
  }
}

function compute(op: Exclude<NodeOf<"binary">["op"], "||" | "&&">, left: ParameterValue, right: ParameterValue): ParameterValue {
  switch (op) {
    case "==":
      return isSame(left, right);
    case "!=":
      return !isSame(left, right);
    case "<":
      return order(left, right) < 0;
    case "<=":
      return order(left, right) <= 0;
    case ">":
      return order(left, right) > 0;
    case ">=":
      return order(left, right) >= 0;
    case "in":
      return contains(right, left);
    case "+":
      return plus(left, right);
    case "-":
      return numberOf(left) - numberOf(right);
    case "*":
      return numberOf(left) * numberOf(right);
    case "/":
      return divide(numberOf(left), numberOf(right));
    case "%":
      return remainder(numberOf(left), numberOf(right));
  }
}

function divide(a: number, b: number): number {
  if (b === 0) throw wrong(`${a} / 0: a division by zero`);
  return a / b;
}

function remainder(a: number, b: number): number {
  if (b === 0) throw wrong(`${a} % 0: a division by zero`);
  return a % b;
}

function mapPlace(what: string, values: Record<string, ParameterValue>): Place {
  const get = (key: string | number) => {
    const value = own(values, String(key));
    if (value !== undefined) return value;
    const hint = String(key).includes("-") ? "; a subtraction has a blank before the -" : "";
    throw wrong(`there is no ${key} in ${what}; there are: ${list(Object.keys(values), String(key))}${hint}`);
  };
  return new Place({ what, get, plain: () => values });
}

function fieldOf(of: Value, key: string | number): Value {
  if (of instanceof Place) return of.get(key);
  if (of instanceof PathValue || of === null || typeof of !== "object") {
    if (typeof of === "string" && key === "length") return of.length;
    throw wrong(`${show(plain(of))} has no ${key}`);
  }
  if (!Array.isArray(of)) {
    const value = own(of, String(key));
    if (value !== undefined) return value;
    throw missing(`there is no ${key}; there are: ${list(Object.keys(of), String(key))}`);
  }
  if (key === "length") return of.length;
  const index = typeof key === "number" ? at(of, key) : -1;
  if (index >= 0) return of[index]!;
  throw typeof key === "number" ? missing(`there is no [${key}] in a list of ${of.length}`) : wrong(`a list has no ${key}`);
}
