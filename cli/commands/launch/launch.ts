import type { Launch, TaskRecord } from "../../../protocol/index.js";
import type { Call } from "../../call.js";
import type { LaunchOptions } from "../launch-flags.js";
import { usualQueue } from "../task/usual-queue.js";

/** What is made of the template, by the flags. */
export function launchOf(template: TaskRecord, options: LaunchOptions): Omit<Launch, "template" | "templateName"> {
  const { queue, class: place, name, project, tag, param } = options;
  return {
    queue: queue ?? usualQueue(template),
    ...(place ? { class: place } : {}),
    ...(name === undefined ? {} : { name }),
    ...(project === undefined ? {} : { project }),
    ...(tag ? { tags: tag } : {}),
    ...(param ? { parameters: param } : {}),
  };
}

/** Says so when nobody would take what is made: it may come up later, so that is no error. */
export async function sayIfNobodyServes(call: Call<unknown>, queue: string): Promise<void> {
  const agents = await (await call.navvy()).fleet.agents();
  if (agents.some((view) => view.isUp && view.record.queues.includes(queue))) return;
  call.out.talk(`! no agent that is up serves queue ${queue}: navvy agent start -q ${queue}`);
}

/** Names of schedules and triggers whose template is gone. */
export async function withoutTemplate(call: Call<unknown>, all: { name: string; template: string }[]): Promise<Set<string>> {
  const { tasks } = await call.navvy();
  const found = await Promise.all(all.map(async ({ name, template }) => ((await tasks.bucket.get(template)) ? [] : [name])));
  return new Set(found.flat());
}
