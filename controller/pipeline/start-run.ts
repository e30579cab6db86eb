import type { Navvy } from "../../broker/index.js";
import { NavvyError } from "../../protocol/index.js";
import { task } from "../../task/index.js";
import { alive } from "../alive.js";
import { type Current, startCurrent } from "../current.js";
import type { InitOptions } from "../options.js";

let isTaken = false;

/**
 * The task of a run that goes on in this process: inside navvy the one that the agent runs, by hand one of its own for each run.
 * @throws NavvyError illegal_move: a second pipeline in one task of navvy
 */
export async function startRun(navvy: Navvy, options: InitOptions): Promise<Current> {
  if (task.isInside && isTaken) {
    throw new NavvyError("illegal_move", `task ${task.id} runs a pipeline already, and pipeline ${options.name} can not be run by it too`, {
      why: "one task has one journal: their steps could not be told apart",
      fix: "make it a step: addStep({ name, pipeline })",
    });
  }
  isTaken = true;
  return alive(() => startCurrent(navvy, { type: "controller", ...options }));
}
