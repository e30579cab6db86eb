import type { Navvy } from "../../../broker/index.js";
import type { TaskRecord } from "../../../protocol/index.js";
import type { Situation } from "../../why.js";

/** Gathers what `why` reasons over; a queue that has no entry yet is simply missing. */
export async function lookAround(navvy: Navvy, task: TaskRecord): Promise<Situation> {
  const queue = task.queue;
  const isQueued = task.status === "queued" && queue !== undefined;
  const [entry, waiting, agents] = await Promise.all([
    isQueued ? navvy.queues.bucket.get(queue) : undefined,
    isQueued ? navvy.tasks.queued(queue).then((tasks) => tasks.filter(({ parked }) => !parked)) : [],
    task.status === "queued" || task.status === "running" ? navvy.fleet.agents({ ask: true }) : [],
  ]);
  return { task, ...(entry ? { queue: entry.value } : {}), waiting, agents, nowMs: Date.now() };
}
