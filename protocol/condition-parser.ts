import { NavvyError } from "./errors.js";

export const COMPARISONS = [">=", "<=", "==", "!=", ">", "<"] as const;
export type Comparison = (typeof COMPARISONS)[number];

export type Operand = { name: string } | { value: number | string | boolean | null };
export type Clause =
  | { op: "and"; clauses: Clause[] }
  | { op: "or"; clauses: Clause[] }
  | { op: "not"; clause: Clause }
  | { op: Comparison; left: Operand; right: Operand };

interface Token {
  kind: "word" | "quoted" | "name" | "symbol" | "end";
  text: string;
  at: number;
}

const MAX_CHARACTERS = 4_096;
const MAX_DEPTH = 50;
/** Blanks, a text in quotes, a name in backticks, a symbol, a bare word. */
const TOKEN = /\s+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]+`(?:\.[\p{L}]+)?|>=|<=|==|!=|[><=()]|[^\s"'`<>=!()]+/uy;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const WORDS = new Map<string, number | boolean | null>([
  ["true", true],
  ["false", false],
  ["null", null],
  ["nan", Number.NaN],
  ["inf", Number.POSITIVE_INFINITY],
  ["-inf", Number.NEGATIVE_INFINITY],
]);

/**
 * Reads a condition:
 *
 *   or    = and { "or" and }              and   = not { "and" not }
 *   not   = "not" not | "(" or ")" | value comparison value
 *   value = number | "text" | true | false | null | nan | inf | name | `name with blanks`
 *
 * @throws NavvyError invalid_argument, with a caret below the place
 */
export function parseClause(text: string): Clause {
  return new Parser(text).whole();
}

class Parser {
  readonly #text: string;
  readonly #tokens: Token[];
  #next = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    if (text.length > MAX_CHARACTERS)
      throw new NavvyError("invalid_argument", `a condition of ${text.length} characters is over the limit of ${MAX_CHARACTERS}`);
    this.#tokens = this.#split();
  }

  whole(): Clause {
    const clause = this.#or();
    if (this.#token.kind !== "end") throw this.#wrong('expected "and", "or" or the end');
    return clause;
  }

  #or(): Clause {
    return this.#joined("or", () => this.#joined("and", () => this.#not()));
  }

  #joined(op: "and" | "or", read: () => Clause): Clause {
    const clauses = [read()];
    while (this.#takes(op)) clauses.push(read());
    return clauses.length === 1 ? clauses[0]! : { op, clauses };
  }

  #not(): Clause {
    if (++this.#depth > MAX_DEPTH) throw this.#wrong(`more than ${MAX_DEPTH} within each other`);
    try {
      if (this.#takes("not")) return { op: "not", clause: this.#not() };
      if (!this.#takes("(")) return this.#comparison();
      const clause = this.#or();
      if (!this.#takes(")")) throw this.#wrong('expected ")"');
      return clause;
    } finally {
      this.#depth--;
    }
  }

  #comparison(): Clause {
    const left = this.#operand();
    const { kind, text } = this.#token;
    const op = kind === "symbol" ? COMPARISONS.find((each) => each === (text === "=" ? "==" : text)) : undefined;
    if (!op) throw this.#wrong(`expected one of ${COMPARISONS.join(" ")}`);
    this.#next++;
    return { op, left, right: this.#operand() };
  }

  #operand(): Operand {
    const { kind, text } = this.#token;
    const isOperand = kind === "quoted" || kind === "name" || (kind === "word" && !["and", "or", "not"].includes(text.toLowerCase()));
    if (!isOperand) throw this.#wrong("expected a metric, an output, a number or a text");
    this.#next++;
    if (kind === "quoted") return { value: text.slice(1, -1).replace(/\\(.)/g, "$1") };
    if (kind === "name") return { name: text.replaceAll("`", "") };
    if (NUMBER.test(text)) return { value: Number(text) };
    const word = WORDS.get(text.toLowerCase());
    return word === undefined ? { name: text } : { value: word };
  }

  #takes(text: string): boolean {
    const { kind, text: found } = this.#token;
    if ((kind !== "word" && kind !== "symbol") || found.toLowerCase() !== text) return false;
    this.#next++;
    return true;
  }

  get #token(): Token {
    return this.#tokens[this.#next]!;
  }

  #split(): Token[] {
    const tokens: Token[] = [];
    TOKEN.lastIndex = 0;
    for (let at = 0; at < this.#text.length; at = TOKEN.lastIndex) {
      const text = TOKEN.exec(this.#text)?.[0];
      if (text === undefined)
        throw this.#wrong(/["'`]/.test(this.#text[at]!) ? "a quote that nothing closes" : "expected something else", at);
      if (text.trim() !== "") tokens.push({ kind: kindOf(text), text, at });
    }
    return [...tokens, { kind: "end", text: "", at: this.#text.length }];
  }

  #wrong(problem: string, at = this.#token.at): NavvyError {
    const line = this.#text.replace(/\s/g, " ");
    return new NavvyError("invalid_argument", `the condition can not be read: ${problem}\n  ${line}\n  ${" ".repeat(at)}^`, {
      fix: "write it like: val/acc.max > 0.9 and loss.last < 0.1",
    });
  }
}

function kindOf(text: string): Token["kind"] {
  if (text[0] === '"' || text[0] === "'") return "quoted";
  if (text[0] === "`") return "name";
  return /^[<>=!()]/.test(text) ? "symbol" : "word";
}
