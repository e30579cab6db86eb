import { NavvyError } from "./errors.js";
import { closest } from "./names.js";
import type { ParameterValue } from "./task-spec.js";

/** What `${schedule.…}` or `${trigger.…}` stands for. */
export interface FillScope {
  /** The first word: what begins otherwise is left as it is. */
  root: string;
  /** Undefined: there is nothing of that name. */
  lookUp: (name: string) => ParameterValue | undefined;
  /** Names there are, for people; one that ends with `.` is followed by any. */
  names: readonly string[];
}

const REFERENCE = /\$?\$\{([A-Za-z]+)\.([^}]*)\}/g;

/**
 * Fills in `${root.name}`. A text that is one reference and nothing else becomes the value with its type; `$${root.name}` stands
 * for itself.
 * @throws NavvyError invalid_argument for a name that there is not
 */
export function fill(value: ParameterValue, scope: FillScope): ParameterValue {
  if (typeof value === "string") return wholeOf(value, scope) ?? fillText(value, scope);
  if (Array.isArray(value)) return value.map((each) => fill(each, scope));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fill(each, scope)]));
}

/** The same where a text is wanted: what is none is written as JSON. */
export function fillText(text: string, scope: FillScope): string {
  return text.replace(REFERENCE, (all: string, root: string, name: string) => {
    if (root !== scope.root) return all;
    if (all.startsWith("$$")) return all.slice(1);
    const value = valueOf(name, scope);
    return typeof value === "string" ? value : JSON.stringify(value);
  });
}

/** The value of a text that is one reference and nothing else. */
function wholeOf(text: string, scope: FillScope): ParameterValue | undefined {
  const [whole] = [...text.matchAll(REFERENCE)];
  return whole?.[0] === text && !text.startsWith("$$") && whole[1] === scope.root ? valueOf(whole[2] ?? "", scope) : undefined;
}

function valueOf(name: string, scope: FillScope): ParameterValue {
  const value = scope.lookUp(name);
  if (value !== undefined) return value;
  const meant = closest(name, scope.names);
  throw new NavvyError("invalid_argument", `\${${scope.root}.${name}} stands for nothing here${meant ? `; did you mean ${meant}?` : ""}`, {
    why: `there are: ${scope.names.map((each) => `\${${scope.root}.${each}${each.endsWith(".") ? "NAME" : ""}}`).join(", ")}`,
    fix: `write $\${${scope.root}.${name}} for these very characters`,
  });
}
