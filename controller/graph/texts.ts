import type { ParameterValue } from "../../protocol/index.js";
import { type Expression, expressionsIn, parseExpression } from "../expression/index.js";
import type { Graph, Step } from "./graph.js";

/** A part of a step that is filled in: a template, or an expression by itself. */
export interface Text {
  at: string[];
  value: ParameterValue;
  kind: "template" | "expression";
}

/** Every part of a step that may ask for something. */
export function textsOf(step: Step): Text[] {
  const { action, queue, inputs, when, until, matrix } = step;
  return [
    ...actionTexts(action),
    ...template(["queue"], queue),
    ...each("parameters", step.parameters),
    ...each("overrides", step.overrides),
    ...each("matrix", matrix ?? {}),
    ...Object.entries(inputs).map(([name, value]) => expression(["inputs", name], value)),
    ...(when === undefined ? [] : [expression(["when"], when)]),
    ...(until === undefined ? [] : [expression(["until", "condition"], until.condition)]),
  ];
}

export function outputTexts({ outputs }: Graph): Text[] {
  return each("outputs", outputs);
}

function actionTexts(action: Step["action"]): Text[] {
  switch (action.kind) {
    case "template":
      return template(["action", "task"], action.task);
    case "task":
      return [...each("action.spec", action.spec), ...template(["action", "script"], action.script)];
    case "function":
      return each("action.arguments", action.arguments);
    case "pipeline":
      return each("action.with", action.with);
  }
}

const expression = (at: string[], value: string): Text => ({ at, value, kind: "expression" });

/** The texts in it, each by its own path. */
function template(at: string[], value: ParameterValue | undefined): Text[] {
  if (typeof value === "string") return value.includes("${") ? [{ at, value, kind: "template" }] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => template([...at, key], inner));
}

const each = (prefix: string, of: Record<string, ParameterValue>) => template(prefix.split("."), of);

/** The expressions of a text. @throws NavvyError one can not be read */
export function expressionsOf({ kind, value }: Text): Expression[] {
  return kind === "expression" ? [parseExpression(value as string)] : expressionsIn(value);
}
