import { referencesIn } from "../expression/index.js";
import type { CheckedGraph } from "../graph/check.js";
import type { Graph, Step } from "../graph/graph.js";
import { expressionsOf, textsOf } from "../graph/texts.js";
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

function usedBy(step: Step): Set<string> {
  const references = textsOf(step).flatMap((text) => expressionsOf(text).flatMap((expression) => referencesIn(expression)));
  return new Set(references.flatMap(({ step: name }) => name ?? []));
}
