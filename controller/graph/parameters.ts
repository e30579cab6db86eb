import { type ParameterValue } from "../../protocol/index.js";
import type { Graph, GraphParameter, GraphParameterType, NewGraph } from "./graph.js";
import { didYouMean, Problems, type Report } from "./problems.js";

const JSON_LIKE = /^\s*(?:[[{"]|-?\d|true$|false$|null$)/;

/**
 * The parameters of a run: what was given, as its type, and the defaults of the rest. Texts are taken as a command line gives them
 * (`epochs=3`, `lrs=0.1,0.2`, `lrs=[0.1, 0.2]`).
 * @throws NavvyError invalid_argument with every problem: unknown, missing, or not what its type, limits and choices allow
 */
export function checkParameters(
  graph: Pick<NewGraph, "name" | "parameters">,
  given: Record<string, ParameterValue>,
): Record<string, ParameterValue> {
  const problems = new Problems(`parameters of pipeline ${graph.name}`);
  const values = readParameters((graph.parameters ?? {}) as Graph["parameters"], given, problems.under(["parameters"]));
  problems.throwIfAny();
  return values;
}

/** The same for whoever gathers problems: a pipeline as a step. */
export function readParameters(
  known: Graph["parameters"],
  given: Record<string, ParameterValue>,
  report: Report,
): Record<string, ParameterValue> {
  for (const name of Object.keys(given))
    if (!Object.hasOwn(known, name))
      report([name], `the pipeline has no parameter ${JSON.stringify(name)}${didYouMean(name, Object.keys(known))}`);
  const values: Record<string, ParameterValue> = {};
  for (const [name, parameter] of Object.entries(known)) {
    const value = Object.hasOwn(given, name) ? given[name]! : parameter.default;
    if (value === undefined) report([name], "it has no default and must be given", `-p ${name}=…`);
    else if (Object.hasOwn(given, name)) values[name] = readValue(value, parameter, (message) => report([name], message));
    else values[name] = value;
  }
  return values;
}

/** Whether a parameter makes sense by itself. */
export function checkParameter(parameter: GraphParameter, report: Report): void {
  const { type, default: otherwise, min, max, choices, of } = parameter;
  const isNumber = type === "int" || type === "float" || type === "any";
  if ((min !== undefined || max !== undefined) && !isNumber) report(["min"], `min and max are for numbers; the type is ${type}`);
  if (min !== undefined && max !== undefined && min > max) report(["min"], `min ${min} is above max ${max}`);
  if (of !== undefined && type !== "list") report(["of"], `of is for lists; the type is ${type}`);
  if (choices?.length === 0) report(["choices"], "there are no choices");
  choices?.forEach((choice, index) => checkValue(choice, { type, of }, (message) => report(["choices", String(index)], message)));
  if (otherwise !== undefined && otherwise !== null)
    checkValue(otherwise, { ...parameter, type }, (message) => report(["default"], message));
}

type Wants = Pick<GraphParameter, "of" | "min" | "max" | "choices" | "default"> & { type?: GraphParameterType };

function readValue(value: ParameterValue, parameter: Wants, report: (message: string) => void): ParameterValue {
  const read = typeof value === "string" ? fromText(value, parameter) : value;
  if (!(read === null && parameter.default === null)) checkValue(read, parameter, report);
  return read;
}

/** As good as it goes; what does not fit is found by its check. */
function fromText(text: string, { type, of }: Wants): ParameterValue {
  switch (type) {
    case "int":
    case "float":
      return text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
    case "bool":
      return { true: true, yes: true, "1": true, false: false, no: false, "0": false }[text.toLowerCase()] ?? text;
    case "list": {
      const parsed = text.trimStart().startsWith("[") ? parsedOr(text, text) : text;
      const members = Array.isArray(parsed) ? parsed : text === "" ? [] : text.split(",");
      return members.map((member) => (typeof member === "string" ? fromText(member, { type: of ?? "any" }) : member));
    }
    case "string":
      return text;
    default:
      return JSON_LIKE.test(text) ? parsedOr(text, text) : text;
  }
}

function parsedOr(text: string, otherwise: ParameterValue): ParameterValue {
  try {
    const value = JSON.parse(text) as ParameterValue;
    // A number that would lose digits is an identifier that looks like one.
    return typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value) ? otherwise : value;
  } catch {
    // It only looked like JSON: then it is a text.
    return otherwise;
  }
}

function checkValue(value: ParameterValue, parameter: Wants, report: (message: string) => void): void {
  const { type = "any", of, min, max, choices } = parameter;
  const shown = JSON.stringify(value);
  if (!isOf(value, type)) return report(`${shown} is not ${ARTICLES[type]}`);
  if (Array.isArray(value) && of) {
    const wrong = value.findIndex((member) => !isOf(member, of));
    if (wrong >= 0) return report(`member ${wrong} of the list, ${JSON.stringify(value[wrong])}, is not ${ARTICLES[of]}`);
  }
  if (typeof value === "number" && min !== undefined && value < min) return report(`${shown} is below its min, ${min}`);
  if (typeof value === "number" && max !== undefined && value > max) return report(`${shown} is above its max, ${max}`);
  if (choices && !choices.some((choice) => JSON.stringify(choice) === shown)) {
    const names = choices.map((choice) => (typeof choice === "string" ? choice : JSON.stringify(choice)));
    report(`${shown} is none of its choices${didYouMean(typeof value === "string" ? value : shown, names)}`);
  }
}

const ARTICLES = { int: "a whole number", float: "a number", string: "a text", bool: "true or false", list: "a list", any: "a value" };

function isOf(value: ParameterValue, type: GraphParameterType): boolean {
  switch (type) {
    case "int":
      return Number.isInteger(value);
    case "float":
      return typeof value === "number";
    case "string":
      return typeof value === "string";
    case "bool":
      return typeof value === "boolean";
    case "list":
      return Array.isArray(value);
    case "any":
      return true;
  }
}
