import type { TaskFilter } from "../../../broker/index.js";
import { NavvyError, STATUSES, type TaskStatus } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import { findTask } from "../../references.js";
import { TASK_VIEW } from "./view.js";

interface ListOptions {
  status?: string[];
  queue?: string;
  project?: string;
  name?: string;
  agent?: string;
  type?: string;
  tag?: string[];
  parent?: string;
  archived?: boolean;
  limit?: number;
  where?: string;
  all?: boolean;
}

/** `navvy task ls` */
export const list: Handler<[], ListOptions> = async (call) => listTasks(call, await filterOf(call));

/** `navvy ps` */
export const ps: Handler<[], ListOptions> = async (call) => {
  const filter = await filterOf(call);
  const active: TaskStatus[] = ["queued", "running"];
  await listTasks(call, filter.status || call.options.all ? filter : { ...filter, status: active });
};

async function listTasks(call: Call<ListOptions>, filter: TaskFilter): Promise<void> {
  const navvy = await call.navvy();
  let unreadable = 0;
  const tasks = await navvy.tasks.list(filter, () => void unreadable++);
  call.out.list(TASK_VIEW, tasks);
  if (unreadable > 0) call.out.talk(`${unreadable} more can not be read by this navvy: see navvy doctor`);
}

async function filterOf(call: Call<ListOptions>): Promise<TaskFilter> {
  const { status, queue, project, name, agent, type, tag, archived, limit, where } = call.options;
  const parent = call.options.parent === undefined ? undefined : (await findTask(call, call.options.parent)).id;
  return {
    ...(status ? { status: status.flatMap((each) => each.split(",")).map(checkStatus) } : {}),
    ...Object.fromEntries(
      Object.entries({ queue, project, name, agent, taskType: type, tags: tag, archived, limit, parent, where }).filter(
        ([, value]) => value !== undefined,
      ),
    ),
  };
}

function checkStatus(status: string): TaskStatus {
  const known = STATUSES.find((each) => each === status);
  if (known) return known;
  throw new NavvyError("invalid_argument", `status ${JSON.stringify(status)} is not known`, {
    why: `known: ${STATUSES.join(", ")}`,
    fix: "navvy help states",
  });
}
