import type { Handler } from "../../call.js";
import { findTask } from "../../references.js";
import { explain, explanationLines } from "../../why.js";
import { lookAround } from "./look.js";

/** `navvy why TASK` */
export const why: Handler<[string]> = async (call, reference) => {
  const navvy = await call.navvy();
  const task = await findTask(call, reference);
  const explanation = explain(await lookAround(navvy, task));
  const document = { id: task.id, name: task.name, status: task.status, ...explanation };
  call.out.show({ kind: "why", name: () => task.id }, document, () => explanationLines(explanation).join("\n"));
};
