import { readPipelineFile } from "../../../controller/file/index.js";
import { type CheckedGraph, checkGraph } from "../../../controller/graph/index.js";
import type { Handler } from "../../call.js";
import { drawGraph } from "./draw.js";
import { mermaid } from "./mermaid.js";

/** `navvy pipeline graph FILE [--mermaid]` */
export const graph: Handler<[string], { mermaid?: boolean }> = async ({ out, options }, file) => {
  const checked = checkGraph(await readPipelineFile(file));
  if (options.mermaid) return out.line(mermaid(checked));
  out.show({ kind: "pipeline-graph", name: () => checked.graph.name }, documentOf(checked), () => drawGraph(checked));
};

/** The graph with the order that was found, and who waits for whom. */
function documentOf({ graph: of, order, parentsOf }: CheckedGraph): object {
  return { ...of, order, edges: order.flatMap((name) => parentsOf(name).map((parent) => [parent, name])) };
}
