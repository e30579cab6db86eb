import { NavvyError, type ParameterValue } from "../../protocol/index.js";
import { parseExpression, referencesIn } from "../expression/index.js";
import { Graph, type NewGraph, type Step } from "./graph.js";

export interface CheckedGraph {
  graph: Graph;
  parentsOf(step: Step): string[];
  order: Step[];
}
export function checkGraph(given: NewGraph): CheckedGraph {
  const graph = Graph.parse(given);
  const all = [...graph.steps, ...graph.finally];
  const parentsOf = (step: Step) => {
    const { action, parameters, overrides, matrix = {}, queue = null } = step;
    const t = { action: action.kind === "pipeline" ? action.with : action, parameters, overrides, matrix, queue } as ParameterValue;
    const e = [...Object.values(step.inputs), step.when, step.until?.condition].filter((one) => one !== undefined);
    const refs = [...referencesIn(t), ...e.flatMap((source) => referencesIn(parseExpression(source)))];
    return [...new Set([...step.parents, ...refs.flatMap((r) => (r.step ? [r.step] : []))])].filter((n) => n !== step.name);
  };
  return { graph, parentsOf, order: all };
}
export function checkParameters(graph: Graph, given: Record<string, ParameterValue>): Record<string, ParameterValue> {
  const out: Record<string, ParameterValue> = {};
  for (const [name, p] of Object.entries(graph.parameters)) {
    const v = given[name] ?? p.default;
    if (v === undefined) throw new NavvyError("invalid_argument", `missing ${name}`);
    out[name] = v;
  }
  return out;
}
