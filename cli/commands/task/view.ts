import type { TaskRecord } from "../../../protocol/index.js";
import type { View } from "../../output/output.js";
import { age, bar } from "../../output/quantities.js";
import { shortId, stateWord } from "../../output/words.js";

/** How tasks are listed. */
export const TASK_VIEW: View<TaskRecord> = {
  kind: "task",
  name: (task) => task.id,
  empty: "no tasks",
  columns: [
    { title: "ID", value: (task) => shortId(task.id) },
    { title: "NAME", value: (task) => task.name, isFlexible: true },
    { title: "STATE", value: (task) => stateWord(stateOf(task)) },
    { title: "QUEUE", value: (task) => task.queue ?? "—", isFlexible: true },
    { title: "AGENT", value: (task) => agentOf(task), isFlexible: true },
    { title: "PROGRESS", value: progressOf },
    { title: "AGE", value: (task) => age(task.changedAt), align: "right" },
    { title: "PROJECT", value: (task) => task.project, isWide: true },
    { title: "TYPE", value: (task) => task.taskType, isWide: true },
    { title: "ATTEMPT", value: (task) => String(task.attempt), isWide: true },
    { title: "REASON", value: (task) => task.reason, isWide: true, isFlexible: true },
  ],
};

export type TaskRange = Pick<TaskRecord, "id" | "attempt" | "firstAttempt">;

/** Whose reports are meant: those of one attempt, else of the latest one, with those before it when the task has parked. */
export function rangeOf({ id, attempt, firstAttempt }: TaskRange, only?: number): TaskRange {
  if (only !== undefined) return { id, attempt: only };
  return { id, attempt, ...(firstAttempt === undefined ? {} : { firstAttempt }) };
}

/** What is said of a task: its status, or what is more telling while it waits or runs. */
export function stateOf(task: TaskRecord): string {
  if (task.parked) return "parked";
  if (task.status !== "running") return task.status;
  if (task.unreachableAt !== undefined) return "unreachable";
  return task.abort ? "aborting" : "running";
}

/** The agent that runs a task or ran it last; a dash for none, and while it waits for any. */
export function agentOf(task: TaskRecord): string {
  if (task.status === "queued" || task.status === "draft") return "—";
  return task.owner?.agent ?? task.attempts.at(-1)?.agent ?? "—";
}

function progressOf(task: TaskRecord): string {
  const { progress } = task.reported;
  if (!progress) return "—";
  return progress.of ? bar(progress.n / progress.of, 6) : `${progress.n}${progress.unit ? ` ${progress.unit}` : ""}`;
}
