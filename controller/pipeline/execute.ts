import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { NavvyOptions } from "../../broker/index.js";
import { NavvyError, type ParameterValue } from "../../protocol/index.js";
import { connection, connectTo } from "../connection.js";
import { checkGraph } from "../graph/check.js";
import { Graph, type NewGraph } from "../graph/graph.js";
import { Task } from "../task.js";
import type { RunResult } from "./engine.js";
import { localQueue, startLocalAgent } from "./local-agent.js";
import { GRAPH_FILE, OwnProgram } from "./program.js";
import { runHere } from "./run-here.js";
import { PIPELINE_TAG } from "./runs.js";
import { startRun } from "./start-run.js";

/**
 * The controller of a pipeline that has no program of its own: runs the graph that is this task's input. None of the user's code runs in
 * it. @throws NavvyError invalid_argument (it is no such task, the graph, its parameters), and what `runHere` throws
 */
export async function executeGraph(): Promise<RunResult> {
  const folder = process.env["NAVVY_INPUTS"];
  if (folder === undefined) {
    throw new NavvyError("invalid_argument", "this is what a pipeline's controller runs, and this process is no task of navvy", {
      fix: "navvy pipeline run FILE",
    });
  }
  const graph = checkGraph(Graph.parse(JSON.parse(await readFile(join(folder, GRAPH_FILE), "utf8"))));
  const task = await Task.init({ name: graph.graph.name, project: graph.graph.project, onAbort: "abort" });
  const navvy = await connection();
  const own = { record: task.record, report: task.log };
  const { ended } = await runHere({ navvy, own, graph, program: new OwnProgram(navvy, task.record) });
  return ended;
}

/**
 * Runs a graph here: its controller in this process, its steps as processes of this machine.
 * @throws NavvyError as `executeGraph`
 */
export async function runGraphLocally(
  given: NewGraph,
  options: { connection: NavvyOptions; parameters: Record<string, ParameterValue> },
): Promise<RunResult> {
  const graph = checkGraph(given);
  const { name, project, tags } = graph.graph;
  const navvy = await connectTo(options.connection);
  const queue = localQueue();
  const own = await startRun(navvy, { name, project, tags: [PIPELINE_TAG, ...tags], parameters: options.parameters, onAbort: "abort" });
  await using _agent = await startLocalAgent(navvy, queue);
  const { ended } = await runHere({ navvy, own, graph, program: new OwnProgram(navvy, own.record), queue });
  const result = await ended;
  await own.local?.settle({ kind: "exited", code: result.state === "completed" ? 0 : 1 });
  return result;
}
