import { assertMove, needsOf, type QueueClass, shapeOf, type TaskRecord } from "../../protocol/index.js";
import { alreadyOnItsWay, nothingToRun } from "./refusals.js";
import { requeued } from "./transition.js";

export interface EnqueueOptions {
  queue: string;
  class?: QueueClass;
  /** Not before this many milliseconds from now. */
  delayMs?: number;
  /** Make the queue even if its name looks like a slip of another one's. */
  createQueue?: boolean;
}

/** A draft's record on its queue. @throws NavvyError illegal_move, invalid_argument (nothing to run) */
export function placed(task: TaskRecord, options: EnqueueOptions, by: string): TaskRecord {
  assertMove(task.id, task.status, "queued");
  if (task.status !== "draft") throw alreadyOnItsWay(task);
  if (task.spec.command.length === 0) throw nothingToRun(task);
  const patch = {
    queue: options.queue,
    class: options.class ?? ("normal" as const),
    shape: shapeOf(needsOf(task.spec)),
    failures: 0,
    losses: 0,
    ...(options.delayMs ? { notBefore: new Date(Date.now() + options.delayMs).toISOString() } : {}),
  };
  return requeued(task, { reason: `enqueued on ${options.queue}`, by, patch });
}
