import type { Navvy } from "../broker/index.js";
import type { TaskRecord } from "../protocol/index.js";
import { alive } from "./alive.js";
import { uploadCode } from "./code.js";
import { leaveProcess } from "./ending.js";
import type { LocalRun } from "./local-run.js";
import { ownCommandLine, programOf } from "./program.js";

export interface RemoteOptions {
  /** The folder to pack; default: the nearest one with a package.json above the script, else the script's own. */
  code?: string;
}

/** Sends this program to a queue and ends the process. */
export async function leave(navvy: Navvy, local: LocalRun, options: RemoteOptions & { queue: string }): Promise<never> {
  await alive(async () => {
    const task = await send(navvy, local.record, options);
    local.report.note("info", `went on as task ${task.id} on queue ${options.queue}`);
    await say(navvy, task, options.queue);
  });
  return leaveProcess();
}

async function send(navvy: Navvy, from: TaskRecord, options: RemoteOptions & { queue: string }): Promise<TaskRecord> {
  const program = programOf(ownCommandLine(), options.code);
  const code = await uploadCode(navvy, program.folder, program.additions);
  const draft = await navvy.tasks.create({
    name: from.name,
    project: from.project,
    taskType: "controller",
    tags: from.tags,
    comment: `sent by ${from.id}`,
    spec: { command: program.command, code, parameters: from.spec.parameters },
  });
  return navvy.tasks.enqueue(draft.id, { queue: options.queue });
}

async function say(navvy: Navvy, task: TaskRecord, queue: string): Promise<void> {
  const agents = await navvy.fleet.agents();
  const isServed = agents.some((agent) => agent.isUp && agent.record.queues.includes(queue));
  const hint = isServed ? `navvy logs -f ${task.id.slice(-8)}` : `nobody serves it yet: navvy agent start -q ${queue}`;
  process.stderr.write(`navvy: ${task.name} goes on as task ${task.id} on queue ${queue} (${hint})\n`);
}
