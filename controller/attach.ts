import type { Navvy } from "../broker/index.js";
import { isNavvyError, type TaskRecord } from "../protocol/index.js";
import { patiently } from "./patience.js";

/**
 * Enqueues a draft, or finds that it is on its way: because a controller that runs again made it the first time (only a
 * task with a key can be that), or because the answer to this very request was lost.
 */
export function attach(navvy: Navvy, task: TaskRecord, options: { queue: string; isKeyed: boolean }): Promise<TaskRecord> {
  return patiently(async (isRepeat) => {
    try {
      return await navvy.tasks.enqueue(task.id, { queue: options.queue });
    } catch (error) {
      if (!isNavvyError(error, "illegal_move") || !(options.isKeyed || isRepeat)) throw error;
      return navvy.tasks.get(task.id);
    }
  });
}
