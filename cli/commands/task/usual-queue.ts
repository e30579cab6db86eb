import { DEFAULT_QUEUE, SERVICES_QUEUE, type TaskRecord } from "../../../protocol/index.js";

/** Where a task goes when nobody says where: where it was last, controllers to their own slots, else to the default queue. */
export function usualQueue(task: TaskRecord): string {
  if (task.queue !== undefined) return task.queue;
  return task.taskType === "controller" ? SERVICES_QUEUE : process.env["NAVVY_DEFAULT_QUEUE"] || DEFAULT_QUEUE;
}
