import type { Navvy } from "../broker/index.js";
import type { Parameters, TaskRecord } from "../protocol/index.js";
import { alive } from "./alive.js";
import { uploadCode } from "./code.js";
import { leaveProcess } from "./ending.js";
import type { LocalRun } from "./local-run.js";
import { ownCommandLine, programOf } from "./program.js";

/** A controller goes on where it was, so losing its machine costs it little: it may happen often in a long life. */
export const CONTROLLER_LOST_LIMIT = 100;

export interface RemoteOptions {
  /** The folder to pack; default: the nearest one with a package.json above the script, else the script's own. */
  code?: string;
}

/** Sends this program to a queue and ends the process. */
export async function leave(navvy: Navvy, local: LocalRun, options: RemoteOptions & { queue: string }): Promise<never> {
  await alive(async () => {
    const { record } = local;
    const draft = await draftOfProgram(
      navvy,
      { ...record, parameters: record.spec.parameters, comment: `sent by ${record.id}` },
      options.code,
    );
    const task = await navvy.tasks.enqueue(draft.id, { queue: options.queue });
    local.report.note("info", `went on as task ${task.id} on queue ${options.queue}`);
    await say(navvy, task, options.queue);
  });
  return leaveProcess();
}

/** This process's program as a task of type controller. @throws NavvyError invalid_argument: it can not be packed */
export async function draftOfProgram(
  navvy: Navvy,
  task: Pick<TaskRecord, "name" | "project" | "tags"> & { parameters: Parameters; comment?: string },
  folder?: string,
): Promise<TaskRecord> {
  const program = programOf(ownCommandLine(), folder);
  const code = await uploadCode(navvy, program.folder, program.additions);
  const { name, project, tags, parameters, comment } = task;
  return navvy.tasks.create({
    name,
    project,
    taskType: "controller",
    tags,
    ...(comment === undefined ? {} : { comment }),
    spec: { command: program.command, code, parameters, lostLimit: CONTROLLER_LOST_LIMIT },
  });
}

/** Says where it goes on, and how to look at it. */
export async function say(navvy: Navvy, task: TaskRecord, queue: string): Promise<void> {
  const agents = await navvy.fleet.agents();
  const isServed = agents.some((agent) => agent.isUp && agent.record.queues.includes(queue));
  const hint = isServed ? `navvy logs -f ${task.id.slice(-8)}` : `nobody serves it yet: navvy agent start -q ${queue}`;
  process.stderr.write(`navvy: ${task.name} goes on as task ${task.id} on queue ${queue} (${hint})\n`);
}
