import { isOpen, readSweep } from "../../../controller/index.js";
import type { Handler } from "../../call.js";
import { count, shortId } from "../../output/words.js";
import { findTask } from "../../references.js";
import { TASK_VIEW } from "../task/view.js";

/** `navvy sweep abort SWEEP` */
export const abort: Handler<[string], { reason: string }> = async (call, reference) => {
  const navvy = await call.navvy();
  const { task, config } = await readSweep(navvy, await findTask(call, reference));
  const asked = await navvy.tasks.abort(task.id, { reason: call.options.reason });
  // One that runs ends its trials by itself; one that waited for a slot (again) can not.
  const open = asked.progress === "aborted" && config.onAbort === "abort" ? (await readSweep(navvy, task)).trials.filter(isOpen) : [];
  for (const trial of open) await navvy.tasks.abort(trial.task, { reason: "its sweep was aborted" }).catch(() => undefined); // it has ended meanwhile
  const done = asked.progress === "aborted" ? `aborted, with ${count(open.length, "trial")}` : "abort requested; its trials end with it";
  call.out.show(TASK_VIEW, asked.task, () => `${shortId(task.id)}  ${task.name}  ${done}`);
};
