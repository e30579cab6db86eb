import { NavvyError, type TaskRecord } from "../../protocol/index.js";
import { now } from "./transition.js";

/**
 * The record with other tags; of each that is new it is noted since when it is there, for what waits for tags.
 * @throws NavvyError invalid_argument for an empty one
 */
export function retagged(task: TaskRecord, change: { set?: string[]; add?: string[]; remove?: string[] }): TaskRecord {
  const { add = [], remove = [] } = change;
  if ([...add, ...(change.set ?? [])].some((tag) => tag.trim() === ""))
    throw new NavvyError("invalid_argument", "a tag is at least one character that is no blank");
  const tags = [...new Set([...(change.set ?? task.tags), ...add])].filter((tag) => !remove.includes(tag));
  const at = now();
  const { tagged = {}, ...rest } = task;
  const added = tags.filter((tag) => !task.tags.includes(tag)).map((tag) => [tag, at] as const);
  const times = Object.fromEntries([...Object.entries(tagged).filter(([tag]) => tags.includes(tag)), ...added]);
  return { ...rest, tags, ...(Object.keys(times).length > 0 ? { tagged: times } : {}) };
}
