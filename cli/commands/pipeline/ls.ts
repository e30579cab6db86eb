import { PIPELINE_TAG, PipelineRun } from "../../../controller/index.js";
import type { Handler } from "../../call.js";
import { RUN_VIEW, viewOf } from "./show.js";

/** `navvy pipeline ls [NAME] [--project P] [--limit N]` */
export const list: Handler<[string | undefined], { project?: string; limit: number }> = async (call, name) => {
  const navvy = await call.navvy();
  const { project, limit } = call.options;
  const records = await navvy.tasks.list({ tags: [PIPELINE_TAG], ...(project ? { project } : {}), ...(name ? { name } : {}) });
  const newest = records.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1)).slice(0, limit);
  call.out.list(RUN_VIEW, await Promise.all(newest.map((record) => viewOf(new PipelineRun(navvy, record)))));
};
