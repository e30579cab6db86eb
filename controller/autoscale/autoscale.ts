import { NavvyError } from "../../protocol/index.js";
import { connection } from "../connection.js";
import { Task } from "../task.js";
import { autoscaleConfigOf } from "./definition.js";
import { type RunCommand, runAutoscale } from "./run.js";

/** Where an autoscaler's definition stands in its task. */
export const AUTOSCALE_DEFINITION = "Autoscale/definition";

/**
 * What `navvy autoscale execute` does: runs the autoscaler that this process's own task is, until it is asked to end.
 * @throws NavvyError invalid_argument (the task is none), aborted
 */
export async function executeAutoscale(options: { runCommand: RunCommand; say: (line: string) => void }): Promise<never> {
  const me = await Task.init({ name: "autoscale", type: "controller" });
  const definition = me.getParameter(AUTOSCALE_DEFINITION);
  if (definition === undefined)
    throw new NavvyError("invalid_argument", `task ${me.id} (${me.name}) is no autoscaler`, {
      why: `it has no parameter ${AUTOSCALE_DEFINITION}`,
      fix: "navvy autoscale run FILE",
    });
  return runAutoscale({ navvy: await connection(), me, config: autoscaleConfigOf(definition), ...options });
}
