import { executeGraph, failureText } from "../../../controller/index.js";
import { task } from "../../../task/index.js";
import type { Handler } from "../../call.js";

/** `navvy pipeline execute`: what the controller of a pipeline without a program of its own runs. */
export const execute: Handler = async (call) => {
  const result = await executeGraph();
  if (result.state === "completed") return 0;
  call.out.talk(failureText(process.env["NAVVY_TASK_NAME"] ?? task.id ?? "", result));
  return 1;
};
