import { PipelineRun } from "../../../controller/index.js";
import type { Handler } from "../../call.js";
import { shortId } from "../../output/words.js";
import { findTask } from "../../references.js";

/** `navvy pipeline retry RUN [--from STEP]` */
export const retry: Handler<[string], { from?: string }> = async (call, reference) => {
  const { from } = call.options;
  const run = await PipelineRun.get(await call.navvy(), (await findTask(call, reference)).id);
  const names = await run.retry(from === undefined ? {} : { from });
  call.out.talk(`runs again: ${names.join(", ")}   (navvy pipeline watch ${shortId(run.id)})`);
};
