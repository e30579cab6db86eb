import { PipelineRun } from "../../../controller/index.js";
import type { Handler } from "../../call.js";
import { findTask } from "../../references.js";

/** `navvy pipeline approve RUN STEP [--refuse] [--comment TEXT]` */
export const approve: Handler<[string, string], { refuse?: boolean; comment?: string }> = async (call, reference, step) => {
  const { id } = await findTask(call, reference);
  const { refuse = false, comment } = call.options;
  const run = await PipelineRun.get(await call.navvy(), id);
  await run.approve(step, { isApproved: !refuse, ...(comment === undefined ? {} : { comment }) });
  call.out.talk(`step ${step} of ${run.record.name} is ${refuse ? "refused" : "approved"}`);
};
