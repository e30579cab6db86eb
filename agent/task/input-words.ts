import { join } from "node:path";
import { NavvyError, type Parameters, type ParameterValue, type TaskSpec } from "../../protocol/index.js";

const PLACEHOLDER = /(\$?)\$\{inputs\.([^{}]*)\}/g;

/** Where a task finds its inputs, and what it has. With none, the words are left alone: other tools write them so too. */
export interface Inputs {
  folder: string;
  names: ReadonlySet<string>;
}

export function inputsOf(spec: Pick<TaskSpec, "inputs">, folder: string): Inputs {
  return { folder, names: new Set(Object.keys(spec.inputs)) };
}

/**
 * A word with the path of an input in place of `${inputs.NAME}`; `$${inputs.` stands for itself.
 * @throws NavvyError setup_failed: there is no such input
 */
export function withPaths(text: string, { folder, names }: Inputs): string {
  if (names.size === 0) return text;
  return text.replace(PLACEHOLDER, (whole, escape: string, name: string) => (escape ? whole.slice(1) : join(folder, known(name, names))));
}

/** The same in what a shell reads: never split, whatever quotes it stands in. */
export function withPathsInScript(script: string, { names }: Inputs): string {
  if (names.size === 0) return script;
  return script.replace(PLACEHOLDER, (...match) => {
    const [whole, escape, name, at] = match as unknown as [string, string, string, number];
    if (escape) return whole.slice(1);
    const path = `\${NAVVY_INPUTS}/${known(name, names)}`;
    const quote = openQuote(script.slice(0, at));
    if (quote === '"') return path;
    return quote === "'" ? `'"${path}"'` : `"${path}"`;
  });
}

/** Parameters with paths in place of `${inputs.NAME}`, at any depth. */
export function parametersWithPaths(parameters: Parameters, inputs: Inputs): Parameters {
  return inputs.names.size === 0 ? parameters : (deep(parameters, inputs) as Parameters);
}

function deep(value: ParameterValue, inputs: Inputs): ParameterValue {
  if (typeof value === "string") return withPaths(value, inputs);
  if (Array.isArray(value)) return value.map((each) => deep(each, inputs));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, deep(each, inputs)]));
}

function known(name: string, names: ReadonlySet<string>): string {
  if (names.has(name)) return name;
  throw new NavvyError("setup_failed", `the task asks for the path of input ${JSON.stringify(name)}, and has no such input`, {
    why: `it has: ${[...names].join(", ") || "none"}`,
    fix: [`navvy task edit --input ${name}=TASK:ARTIFACT`, `$\${inputs.${name}} for these very words`],
  });
}

/** The quote that is open at the end of a shell's words. */
function openQuote(before: string): "" | '"' | "'" {
  let open: "" | '"' | "'" = "";
  for (let at = 0; at < before.length; at++) {
    const sign = before[at];
    if (sign === "\\" && open !== "'") at++;
    else if (sign === "#" && open === "" && /(?:^|[\s;&|(])$/.test(before.slice(Math.max(0, at - 1), at))) at = endOfLine(before, at);
    else if ((sign === '"' || sign === "'") && (open === "" || open === sign)) open = open === "" ? sign : "";
  }
  return open;
}

/** A comment goes to the end of its line. */
function endOfLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}
