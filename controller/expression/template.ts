import { NavvyError, type ParameterValue } from "../../protocol/index.js";
import { evaluate } from "./evaluate.js";
import type { Expression } from "./node.js";
import { parseExpression } from "./parser.js";
import type { Scope } from "./scope.js";
import { limited, textOf } from "./values.js";

/** `${…}` in a text that is an expression of ours. */
export interface Hole {
  expression: Expression;
  /** `${round}`: ours in a step that runs again, the shell's elsewhere. */
  isRound: boolean;
  at: number;
  end: number;
}

/** `${` + identifier + `.` or `(` is ours, but for `${inputs.NAME}`, which the agent fills in; every other `${…}` is the shell's. */
const HOLE = /\$\{(?!inputs\.)(?:[A-Za-z_]\w*[.(]|round\})/y;
const SKIPPED = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^"'}]/suy;

/** The expression that begins at this place of a text, if there is one of ours. @throws NavvyError it can not be read */
export function holeAt(text: string, at: number): Hole | undefined {
  HOLE.lastIndex = at;
  if (text[at] !== "$" || !HOLE.test(text)) return undefined;
  const start = at + 2;
  let end = start;
  for (SKIPPED.lastIndex = end; SKIPPED.test(text); SKIPPED.lastIndex = end) end = SKIPPED.lastIndex;
  if (text[end] !== "}") throw notClosed(text, at);
  const source = text.slice(start, end);
  return { expression: parseExpression(source), isRound: source === "round", at, end: end + 1 };
}

function notClosed(text: string, at: number): NavvyError {
  const line = text.slice(at, at + 60).replace(/\s/g, " ");
  return new NavvyError("invalid_argument", `the expression can not be read: nothing closes it\n  ${line}\n  ${" ".repeat(line.length)}^`, {
    fix: "close it with }; where ${ is not meant for navvy, write $${",
  });
}

/** A text in parts: as they stand, and the holes between them. `$${` stands for `${`. */
export function split(text: string): (string | Hole)[] {
  const parts: (string | Hole)[] = [];
  let [plain, at] = ["", 0];
  while (at < text.length) {
    const next = text.indexOf("$", at);
    if (next < 0) break;
    plain += text.slice(at, next);
    const hole = holeAt(text, next);
    if (hole) {
      if (plain !== "") parts.push(plain);
      parts.push(hole);
      [plain, at] = ["", hole.end];
    } else if (text.startsWith("$${", next)) [plain, at] = [`${plain}\${`, next + 3];
    else [plain, at] = [`${plain}$`, next + 1];
  }
  plain += text.slice(at);
  if (plain !== "") parts.push(plain);
  return parts;
}

/**
 * Fills in every text of a value, through lists and maps. A text that is one expression and nothing else becomes its value with its
 * type; in a longer one values are inserted as text, lists and maps as JSON.
 * @throws NavvyError as `parseExpression` and `evaluate`
 */
export function fill(value: ParameterValue, scope: Scope): ParameterValue {
  if (typeof value === "string") return fillText(value, scope);
  if (Array.isArray(value)) return value.map((each) => fill(each, scope));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fill(each, scope)]));
}

function fillText(text: string, scope: Scope): ParameterValue {
  if (!text.includes("${")) return text;
  const parts = split(text).map((part) => (typeof part !== "string" && part.isRound && scope.round === undefined ? "${round}" : part));
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && typeof only !== "string") return evaluate(only.expression, scope);
  return limited(parts.map((part) => (typeof part === "string" ? part : textOf(evaluate(part.expression, scope)))).join(""));
}
