import type { ParameterValue } from "../../protocol/index.js";
import { parseExpression, referencesIn } from "../expression/index.js";
import type { CheckedGraph } from "../graph/check.js";
import type { Graph, Step } from "../graph/graph.js";
import { StepRun } from "./step-run.js";

/** The steps of a run, linked, and what each asks of others. */
export interface Plan {
  graph: Graph;
  steps: ReadonlyMap<string, StepRun>;
  /** Names of the steps whose results a step uses. */
  usesOf(run: StepRun): ReadonlySet<string>;
}

export function planOf(checked: CheckedGraph): Plan {
  const { graph } = checked;
  const steps = new Map<string, StepRun>();
  for (const step of graph.steps) steps.set(step.name, new StepRun(step, false));
  for (const step of graph.finally) steps.set(step.name, new StepRun(step, true));
  for (const run of steps.values()) {
    for (const name of checked.parentsOf(run.name)) {
      const parent = steps.get(name);
      // A finally step begins when all the others are over, so of them it need not wait for one.
      if (!parent || parent.isFinally !== run.isFinally) continue;
      run.parents.push(parent);
      parent.children.push(run);
    }
    run.open = run.parents.length;
  }
  const uses = new Map<StepRun, ReadonlySet<string>>();
  const usesOf = (run: StepRun) => {
    const known = uses.get(run) ?? usedBy(run.step);
    uses.set(run, known);
    return known;
  };
  return { graph, steps, usesOf };
}

/** Everything of a step in which expressions may stand. */
function usedBy(step: Step): Set<string> {
  const { action, parameters, overrides, matrix = {}, queue = null } = step;
  const templates = { action: action.kind === "pipeline" ? action.with : action, parameters, overrides, matrix, queue } as ParameterValue;
  const expressions = [...Object.values(step.inputs), step.when, step.until?.condition].filter((one) => one !== undefined);
  const references = [...referencesIn(templates), ...expressions.flatMap((source) => referencesIn(parseExpression(source)))];
  return new Set(references.flatMap(({ step: name }) => (name === undefined ? [] : [name])));
}
