import { NavvyError, type ParameterValue } from "../../protocol/index.js";
import { evaluateForScript } from "./evaluate.js";
import type { Scope } from "./scope.js";
import { ShellReader } from "./shell-reader.js";
import { type Hole, holeAt } from "./template.js";
import { limited, PathValue, textOf } from "./values.js";

/**
 * Fills in a script for `sh -c`. A value is one word of the shell whatever is in it: it goes in in single quotes, also inside of the
 * author's own quotes; a list becomes as many words. `${raw(x)}` goes in as it is.
 *
 * The shell's own syntax is followed for that, as far as sh and bash agree: quotes, comments, `$( )`, `${ }`, here-documents. Where a
 * value can not go in safely (in a here-document, in `"${a:-…}"`, between backticks), it is refused. In comments nothing is filled in.
 *
 * A path of an artifact goes in as `${inputs.NAME}`, which the agent fills in.
 * @throws NavvyError as `fill`; invalid_argument: not at this place
 */
export function fillScript(text: string, scope: Scope): string {
  const shell = new ShellReader(text);
  let filled = "";
  while (!shell.isAtEnd) {
    const hole = shell.isComment ? undefined : holeAt(text, shell.at);
    if (hole && !(hole.isRound && scope.round === undefined)) {
      filled += inserted({ text, hole, shell }, scope);
      shell.jump(hole.end);
    } else if (text.startsWith("$${", shell.at)) {
      shell.jump(shell.at + 1);
      filled += shell.next();
    } else filled += shell.next();
  }
  return limited(filled);
}

/**
 * What `fillScript` will refuse in a script whatever the values are. `hasRound`: `${round}` is filled in too.
 * @throws NavvyError invalid_argument: an expression can not be read
 */
export function misplacedIn(text: string, hasRound: boolean): NavvyError[] {
  const shell = new ShellReader(text);
  const found: NavvyError[] = [];
  while (!shell.isAtEnd) {
    const hole = shell.isComment ? undefined : holeAt(text, shell.at);
    if (hole && (hasRound || !hole.isRound)) {
      const problem = isFree(hole) ? undefined : problemAt(shell);
      if (problem !== undefined) found.push(refused(text, hole, problem));
      shell.jump(hole.end);
    } else {
      if (text.startsWith("$${", shell.at)) shell.jump(shell.at + 1);
      shell.next();
    }
  }
  return found;
}

/** A path and `raw()` go in anywhere. */
function isFree({ expression: { node } }: Hole): boolean {
  return node.kind === "call" ? node.name === "raw" : node.kind === "member" && node.name === "path";
}

function problemAt(shell: ShellReader): string | undefined {
  if (shell.doubt !== undefined) return shell.doubt;
  return typeof shell.place === "object" ? shell.place.refused : undefined;
}

interface Place {
  text: string;
  hole: Hole;
  shell: ShellReader;
}

function inserted({ text, hole, shell }: Place, scope: Scope): string {
  const { value, isRaw } = evaluateForScript(hole.expression, scope);
  if (isRaw) return words(value).join(" ");
  if (value instanceof PathValue) return value.text;
  const refuse = (problem: string) => refused(text, hole, problem);
  const { place } = shell;
  const problem = problemAt(shell);
  if (problem !== undefined) throw refuse(problem);
  if (place === "arithmetic") {
    if (typeof value === "number" && Number.isFinite(value)) return String(value);
    throw refuse("only a number can stand in $(( ))");
  }
  if (place === "bare") return words(value).map(quoted).join(" ") || (isWordEnd(text[hole.end]) ? "" : "''");
  if (Array.isArray(value))
    throw refuse("a list becomes several words, so it can not stand in quotes: take the quotes away, or join(…, ' ')");
  return place === "single" ? quoted(textOf(value)).slice(1, -1) : inDoubleQuotes(textOf(value));
}

/** An empty list in the midst of a word stays one: `#` behind it would begin a comment. */
const isWordEnd = (next: string | undefined) => next === undefined || /[\s;&|)]/.test(next);

function words(value: ParameterValue | PathValue): string[] {
  if (value instanceof PathValue) return [value.text];
  return Array.isArray(value) ? value.map(textOf) : [textOf(value)];
}

/** One word of the shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Between double quotes the shell sees these four alone, and a backslash takes their meaning from them. */
function inDoubleQuotes(text: string): string {
  return text.replace(/[\\$`"]/g, "\\$&");
}

function refused(text: string, { expression, at }: Hole, problem: string): NavvyError {
  const line = text.slice(0, at).split("\n").length;
  return new NavvyError("invalid_argument", `\${${expression.source}} in line ${line} of the script: ${problem}`, {
    fix: `set a variable before it: value=\${${expression.source}}, on a line of its own, and use "$value" here`,
  });
}
