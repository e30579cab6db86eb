import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import { connection } from "../connection.js";
import { checkGraph } from "../graph/check.js";
import { Graph } from "../graph/graph.js";
import { Task } from "../task.js";
import type { RunResult } from "./engine.js";
import { GRAPH_FILE, OwnProgram } from "./program.js";
import { runHere } from "./run-here.js";

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
  const task = await Task.init({ name: graph.graph.name, project: graph.graph.project });
  const navvy = await connection();
  const own = { record: task.record, report: task.log };
  const { ended } = await runHere({ navvy, own, graph, program: new OwnProgram(navvy, task.record) });
  return ended;
}
