import type { Parameters, ParameterValue, TaskSpec } from "../../protocol/index.js";

/** A section and a name as one word; General goes without. */
export const pathOf = (section: string, name: string) => (section === "General" ? name : `${section}.${name}`);

/** A value in words: text as it is, all else as JSON. */
export const textOf = (value: ParameterValue): string => (typeof value === "string" ? value : JSON.stringify(value));

/** The variable that holds a parameter. */
export function variableOf(section: string, name: string): string {
  const path = section === "General" ? name : `${section}_${name}`;
  return `NAVVY_PARAM_${path.toUpperCase().replace(/[^A-Z0-9]+/g, "_")}`;
}

/** `General/lr` → NAVVY_PARAM_LR; other sections carry their name: NAVVY_PARAM_OPTIMIZER_LR. */
export function parameterVariables(parameters: Parameters): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [section, values] of Object.entries(parameters))
    for (const [name, value] of Object.entries(values)) variables[variableOf(section, name)] = textOf(value);
  return variables;
}

/** A task's parameters as arguments of its program, in the form that it asks for. */
export function parameterArguments(parameters: Parameters, form: NonNullable<TaskSpec["parametersAs"]>): string[] {
  const of = { flags: flag, hydra: override }[form];
  return Object.entries(parameters).flatMap(([section, values]) =>
    Object.entries(values).flatMap(([name, value]) => of(pathOf(section, name), value)),
  );
}

/**
 * As argparse and its like have it: `--lr 0.1`; `--name=-x` where the value would be taken for a flag; true is `--name`, false is
 * `--no-name` (argparse's BooleanOptionalAction), null is left out, a list is `--name a b c`, anything nested is JSON.
 */
function flag(name: string, value: ParameterValue): string[] {
  if (value === null) return [];
  if (typeof value === "boolean") return [value ? `--${name}` : `--no-${name}`];
  if (Array.isArray(value)) return [`--${name}`, ...value.map(textOf)];
  const text = textOf(value);
  return text.startsWith("-") ? [`--${name}=${text}`] : [`--${name}`, text];
}

/** An override of Hydra (1.1 and newer): `lr=0.1`, `opt.name='a b'`, `sizes=[1,2]`, `model={depth:3}`. A `+` or `~` in a name is Hydra's. */
function override(name: string, value: ParameterValue): string[] {
  return [`${name}=${hydraValue(value)}`];
}

function hydraValue(value: ParameterValue): string {
  if (typeof value === "string") return hydraText(value);
  if (typeof value === "number") return hydraNumber(value);
  if (value === null || typeof value !== "object") return String(value);
  if (Array.isArray(value)) return `[${value.map(hydraValue).join(",")}]`;
  return `{${Object.entries(value)
    .map(([key, each]) => `${hydraKey(key)}:${hydraValue(each)}`)
    .join(",")}}`;
}

const hydraNumber = (value: number) => (Number.isFinite(value) ? String(value) : String(value).replace("Infinity", "inf").toLowerCase());

/** Words that Hydra reads as something else than text. */
const CONSTANT = /^(?:null|true|false|inf|nan)$/i;

/** What could be read as anything else than text is quoted; `${…}` in it is an interpolation, quoted or not. */
function hydraText(text: string): string {
  if (/^[A-Za-z_/][\w/.-]*$/.test(text) && !CONSTANT.test(text)) return text;
  // Backslashes count only in front of a quote, the closing one too.
  return `'${text.replace(/(\\*)'/g, "$1$1\\'").replace(/\\+$/, "$&$&")}'`;
}

/** Keys take no quotes. */
const hydraKey = (key: string) => key.replace(/[\\()[\]{}:=, \t]/g, "\\$&");
