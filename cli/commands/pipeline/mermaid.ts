import type { CheckedGraph } from "../../../controller/graph/index.js";
import { labelOf } from "./draw.js";

/** A pipeline as a Mermaid diagram, which many show that show Markdown. */
export function mermaid(checked: CheckedGraph): string {
  const ids = new Map(checked.order.map((name, index) => [name, `s${index}`]));
  const nodes = checked.order.map((name) => `  ${ids.get(name)}["${labelOf(checked, name)}"]`);
  const edges = checked.order.flatMap((name) => checked.parentsOf(name).map((parent) => `  ${ids.get(parent)} --> ${ids.get(name)}`));
  const stageOf = (name: string) => checked.step(name).stage;
  const stages = new Set(checked.order.flatMap((name) => stageOf(name) ?? []));
  const groups = [...stages].flatMap((stage) => {
    const names = checked.order.filter((name) => stageOf(name) === stage);
    return [`  subgraph ${JSON.stringify(stage)}`, ...names.map((name) => `    ${ids.get(name)}`), "  end"];
  });
  return ["flowchart LR", ...nodes, ...edges, ...groups].join("\n");
}
