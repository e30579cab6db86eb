import type { Navvy } from "../../../broker/index.js";
import { isNavvyError, type TaskRecord } from "../../../protocol/index.js";

/** What can be in limbo, and what that is. */
export const DEAD_KINDS = {
  unreachable: "runs on without a lease; its agent is out of reach",
  no_session: "running on record, but its agent's session is gone",
  no_message: "queued, but no message stands behind it",
  lost: "failed: lost with its machine too often",
  set_aside: "a message that could not be read, taken off its queue",
  unreadable: "a message on its queue that can not be read",
  stale: "a message whose task has moved on",
  ghost: "an acknowledged message that came back with its server",
} as const;
export type DeadKind = keyof typeof DEAD_KINDS;

/** One thing in limbo, with the commands that mend it. */
export interface Dead {
  kind: DeadKind;
  queue: string;
  /** Task id. */
  task?: string;
  name?: string;
  /** The agent that ran it. */
  agent?: string;
  /** Of the message in the queues' stream. */
  sequence?: number;
  since?: string;
  why: string;
  fix: string[];
  /** Bytes of a message that was set aside. */
  base64?: string;
}

/** The record as it is now: what was seen a moment ago may have moved on. */
export async function fresh(navvy: Navvy, id: string): Promise<TaskRecord | undefined> {
  try {
    return (await navvy.tasks.bucket.get(id))?.value;
  } catch (error) {
    if (isNavvyError(error, "newer_version") || isNavvyError(error, "unreadable")) return undefined;
    throw error;
  }
}

/** What a row says of its task. */
export function aboutTask(task: TaskRecord): Pick<Dead, "queue" | "task" | "name"> {
  return { queue: task.queue ?? "", task: task.id, name: task.name };
}
