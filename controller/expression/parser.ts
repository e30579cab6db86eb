import { closest, NavvyError, type ParameterValue } from "../../protocol/index.js";
import { checkCall } from "./functions.js";
import { BINARY, type BinaryOperator, Expression, FOREIGN_ROOTS, METHODS, type Node, type NodeOf, ROOTS } from "./node.js";

const MAX_CHARACTERS = 4_096;
const MAX_DEPTH = 50;

const NUMBER = /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\p{L}\p{N}_])/uy;
const TEXT = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/suy;
const WORD = /[\p{L}_][\p{L}\p{N}_]*/uy;
/** A bare step name with `-` in it, told from a subtraction by the field that follows: `my-step.id`. */
const DASHED = /(?:-+[\p{L}\p{N}_]+)+(?=\.[\p{L}_]|\[)/uy;
/** After a dot a `-` between letters or digits belongs to the name; a subtraction has a blank before it. */
const NAME = /[\p{L}\p{N}_]+(?:-+[\p{L}\p{N}_]+)*/uy;
/** The names of metrics and parameters hold slashes too. */
const PATH_NAME = /[\p{L}\p{N}_]+(?:[-/]+[\p{L}\p{N}_]+)*/uy;
const WHOLE_NUMBER = /-?\d+(?![\p{L}\p{N}_/-])/uy;

const CONSTANTS = new Map<string, ParameterValue>([
  ["true", true],
  ["false", false],
  ["null", null],
]);
const LEVELS: BinaryOperator[][] = [["||"], ["&&"], ["==", "!=", "<=", ">=", "<", ">", "in"], ["+", "-"], ["*", "/", "%"]];
const COMPARISON_LEVEL = 2;
const MISTAKEN: Record<string, string> = { "=": "==", and: "&&", or: "||", not: "!", "===": "==", "!==": "!=" };

/**
 * Reads an expression, without `${` and `}`:
 *
 *   choice = or [ "?" choice ":" choice ]       or = and { "||" and }        and = compare { "&&" compare }
 *   compare = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "in") sum ]     sum = product { ("+" | "-") product }
 *   product = unary { ("*" | "/" | "%") unary }  unary = ("!" | "-") unary | value { ".name" | "[" choice "]" | ".map(…)" }
 *   value = number | "text" | true | false | null | [ choice, … ] | ( choice ) | name | name( choice, … )
 *
 * @throws NavvyError invalid_argument, with a caret below the place
 */
export function parseExpression(source: string): Expression {
  return new Expression(source, new Parser(source).whole());
}

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    if (text.length > MAX_CHARACTERS)
      throw new NavvyError("invalid_argument", `an expression of ${text.length} characters is over the limit of ${MAX_CHARACTERS}`);
  }

  whole(): Node {
    const node = this.#choice();
    if (this.#isAtEnd()) return node;
    if (/^(?:[=!]=(?!=)|[<>])/.test(this.#text.slice(this.#at))) throw this.#wrong("comparisons do not chain: put one in ( )");
    const word = /^(?:===|!==|=|\w+)/.exec(this.#text.slice(this.#at))?.[0];
    const meant = word === undefined || !Object.hasOwn(MISTAKEN, word) ? undefined : MISTAKEN[word];
    throw this.#wrong(meant ? `it is written ${meant} here` : "expected an operator or the end");
  }

  #choice(): Node {
    return this.#within(() => {
      const condition = this.#binary(0);
      if (!this.#takes("?")) return condition;
      const whenTrue = this.#choice();
      this.#needs(":");
      const whenFalse = this.#choice();
      return { kind: "choice", condition, whenTrue, whenFalse, at: condition.at, end: whenFalse.end };
    });
  }

  #binary(level: number): Node {
    const operators = LEVELS[level];
    if (!operators) return this.#unary();
    let left = this.#binary(level + 1);
    for (let op = this.#operator(operators); op; op = this.#operator(operators)) {
      const right = this.#binary(level + 1);
      left = { kind: "binary", op, left, right, at: left.at, end: right.end };
      if (level === COMPARISON_LEVEL) break;
    }
    return left;
  }

  #operator(of: BinaryOperator[]): BinaryOperator | undefined {
    this.#skipBlanks();
    const rest = this.#text.slice(this.#at, this.#at + 3);
    const found = BINARY.find((op) => rest.startsWith(op) && !(op === "in" && /^in[\p{L}\p{N}_]/u.test(rest)));
    if (!found || !of.includes(found)) return undefined;
    this.#at += found.length;
    return found;
  }

  #unary(): Node {
    return this.#within(() => {
      this.#skipBlanks();
      const at = this.#at;
      const op = this.#text.startsWith("!=", at) ? undefined : this.#takes("!") ? "!" : this.#takes("-") ? "-" : undefined;
      if (!op) return this.#postfix(this.#primary());
      const of = this.#unary();
      return { kind: "unary", op, of, at, end: of.end };
    });
  }

  #postfix(node: Node): Node {
    let of = node;
    for (;;) {
      if (this.#text[this.#at] === ".") of = this.#dotted(of);
      else if (this.#text[this.#at] === "[") of = this.#indexed(of);
      else return of;
    }
  }

  #dotted(of: Node): Node {
    this.#at++;
    const place = this.#at;
    const { at } = of;
    const number = this.#match(WHOLE_NUMBER);
    if (number !== undefined)
      return { kind: "index", of, index: { kind: "value", value: Number(number), at: place, end: this.#at }, at, end: this.#at };
    const name = this.#match(takesSlashes(of) ? PATH_NAME : NAME);
    if (name === undefined) throw this.#wrong("expected a name after the dot; one with other characters is written ['like this']", place);
    if (this.#text[this.#at] !== "(") return { kind: "member", of, name, at, end: this.#at };
    const method = METHODS.find((each) => each === name);
    if (!method) throw this.#wrong(`${name}() can not be asked of it${meant(name, METHODS)}; there are: ${METHODS.join(", ")}`, place);
    const args = this.#arguments();
    if (args.length < 1 || args.length > 2) throw this.#wrong(METHOD_USE[method], place);
    if (method === "map" && args.length === 2 && args[0]!.kind !== "name") throw this.#wrong(METHOD_USE.map, place);
    return { kind: "method", of, name: method, args, at, end: this.#at };
  }

  #indexed(of: Node): Node {
    const place = this.#at++;
    const index = this.#choice();
    this.#needs("]");
    const span = { of, at: of.at, end: this.#at };
    if (index.kind === "value" && typeof index.value === "string") return { kind: "member", name: index.value, ...span };
    if (of.kind === "name" && of.name === "steps") throw this.#wrong("a step is named in quotes: steps['name']", place + 1);
    return { kind: "index", index, ...span };
  }

  #primary(): Node {
    this.#skipBlanks();
    const at = this.#at;
    const number = this.#match(NUMBER);
    if (number !== undefined) return { kind: "value", value: Number(number), at, end: this.#at };
    const text = this.#match(TEXT);
    if (text !== undefined) return { kind: "value", value: unescape(text.slice(1, -1)), at, end: this.#at };
    if (this.#takes("[")) {
      const items = this.#until("]");
      return { kind: "list", items, at, end: this.#at };
    }
    if (this.#takes("(")) {
      const node = this.#choice();
      this.#needs(")");
      return { ...node, at, end: this.#at };
    }
    return this.#word(at);
  }

  #word(at: number): Node {
    const word = this.#match(WORD);
    if (word === undefined) {
      if (/["']/.test(this.#text[at] ?? "")) throw this.#wrong("a quote that nothing closes");
      throw this.#wrong("expected a value");
    }
    if (this.#text[this.#at] === "(") return this.#call(word, at);
    const constant = CONSTANTS.get(word);
    if (constant !== undefined) return { kind: "value", value: constant, at, end: this.#at };
    if (word === "in") throw this.#wrong("expected a value", at);
    const isRoot = [...ROOTS, ...FOREIGN_ROOTS].some((root) => root === word);
    return { kind: "name", name: word + (isRoot ? "" : (this.#match(DASHED) ?? "")), at, end: this.#at };
  }

  #call(name: string, at: number): NodeOf<"call"> {
    const args = this.#arguments();
    const problem = checkCall(name, args.length);
    if (problem) throw this.#wrong(problem, at);
    return { kind: "call", name, args, at, end: this.#at };
  }

  #arguments(): Node[] {
    this.#needs("(");
    return this.#until(")");
  }

  #until(end: ")" | "]"): Node[] {
    const found: Node[] = [];
    if (this.#takes(end)) return found;
    do found.push(this.#choice());
    while (this.#takes(","));
    this.#needs(end);
    return found;
  }

  #within<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH * 2) throw this.#wrong(`more than ${MAX_DEPTH} within each other`);
    try {
      return read();
    } finally {
      this.#depth--;
    }
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #takes(symbol: string): boolean {
    this.#skipBlanks();
    if (!this.#text.startsWith(symbol, this.#at)) return false;
    this.#at += symbol.length;
    return true;
  }

  #needs(symbol: string): void {
    if (!this.#takes(symbol)) throw this.#wrong(`expected ${JSON.stringify(symbol)}`);
  }

  #skipBlanks(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
  }

  #isAtEnd(): boolean {
    this.#skipBlanks();
    return this.#at === this.#text.length;
  }

  #wrong(problem: string, at = this.#at): NavvyError {
    const line = this.#text.replace(/\s/g, " ");
    return new NavvyError("invalid_argument", `the expression can not be read: ${problem}\n  ${line}\n  ${" ".repeat(at)}^`, {
      fix: "write it like: steps.train.metrics.val/acc.max > 0.9 && params.deploy",
    });
  }
}

const METHOD_USE = {
  map: "map takes what to gather of each member: .map(metrics.loss.last), .map(task, task.id)",
  best: "best takes what to compare, and 'max' or 'min': .best(metrics.loss.last, 'min')",
};

/** `metrics.val/acc`, `parameters.General/lr`, of a step also `params.Data/name`. */
function takesSlashes(of: Node): boolean {
  if (of.kind !== "member" && of.kind !== "name") return false;
  return of.name === "metrics" || of.name === "parameters" || (of.name === "params" && of.kind === "member");
}

const ESCAPES: Record<string, string> = { n: "\n", t: "\t", r: "\r" };

function unescape(text: string): string {
  return text.replace(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter);
}

function meant(name: string, known: readonly string[]): string {
  const found = closest(name, known);
  return found ? `; did you mean ${found}?` : "";
}
