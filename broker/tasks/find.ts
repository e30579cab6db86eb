import { closest, NavvyError, parseCondition, type TaskRecord, type TaskStatus } from "../../protocol/index.js";
import type { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";
import { snapshot } from "../snapshot.js";

export interface TaskFilter {
  status?: TaskStatus | TaskStatus[];
  queue?: string;
  project?: string;
  name?: string;
  agent?: string;
  parent?: string;
  clonedFrom?: string;
  taskType?: string;
  /** All of them. */
  tags?: string[];
  archived?: boolean;
  /** A condition on what it reported: `val/acc.max > 0.9`. */
  where?: string;
  /** Newest first, at most this many. */
  limit?: number;
}

const ID = /^[0-9A-HJKMNP-TV-Z]{26}$/i;
/** A full id: no list is needed to find it. */
export const isTaskId = (reference: string) => ID.test(reference);

const SUFFIX = /^[0-9A-HJKMNP-TV-Z]{4,25}$/i;

type Tasks = Bucket<typeof TaskRecord>;

export interface ListOptions extends TaskFilter {
  /** Told of each record that is left out. */
  onUnreadable?: ((key: string, error: unknown) => void) | undefined;
}

/**
 * Tasks that fit, newest first. Records that can not be read are left out and handed to `onUnreadable`.
 * @throws NavvyError invalid_argument (`where`)
 */
export async function listTasks(bus: Bus, bucket: Tasks, options: ListOptions): Promise<TaskRecord[]> {
  const { onUnreadable, ...filter } = options;
  const where = filter.where === undefined ? undefined : parseCondition(filter.where);
  const entries = await snapshot(bus, bucket, onUnreadable ? { onUnreadable } : {});
  const found = entries.map((entry) => entry.value).filter((task) => fits(task, filter) && (where?.meets(task) ?? true));
  found.sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id));
  return filter.limit === undefined ? found : found.slice(0, filter.limit);
}

function fits(task: TaskRecord, filter: TaskFilter): boolean {
  const statuses = filter.status === undefined ? undefined : [filter.status].flat();
  return (
    (statuses === undefined || statuses.includes(task.status)) &&
    (filter.archived ?? false) === task.archived &&
    same(filter.queue, task.queue) &&
    same(filter.project, task.project) &&
    same(filter.name, task.name) &&
    same(filter.parent, task.parent) &&
    same(filter.clonedFrom, task.clonedFrom) &&
    same(filter.taskType, task.taskType) &&
    same(filter.agent, task.owner?.agent ?? task.attempts.at(-1)?.agent) &&
    (filter.tags ?? []).every((tag) => task.tags.includes(tag))
  );
}

const same = (wanted: string | undefined, have: string | undefined) => wanted === undefined || wanted === have;

/**
 * Finds a task by full id, by a suffix of its id of 4 characters and more, by `project/name`, or by name (the newest).
 * @throws NavvyError not_found, ambiguous
 */
export async function findTask(bus: Bus, bucket: Tasks, reference: string): Promise<TaskRecord> {
  if (isTaskId(reference)) {
    const entry = await bucket.get(reference.toUpperCase());
    if (entry) return entry.value;
    throw noSuchTask(reference, []);
  }
  const all = await listTasks(bus, bucket, {}).then(async (tasks) => tasks.concat(await listTasks(bus, bucket, { archived: true })));
  const bySuffix = SUFFIX.test(reference) ? all.filter((task) => task.id.endsWith(reference.toUpperCase())) : [];
  if (bySuffix.length > 1) throw ambiguous(reference, bySuffix);
  const byName = all.filter((task) => task.name === reference || `${task.project}/${task.name}` === reference);
  const found = bySuffix[0] ?? byName[0];
  if (found) return found;
  throw noSuchTask(reference, all);
}

function ambiguous(reference: string, matches: TaskRecord[]): NavvyError {
  return new NavvyError("ambiguous", `${reference} could be ${matches.length} tasks`, {
    why: matches
      .slice(0, 5)
      .map((task) => `${task.id} ${task.name}`)
      .join("; "),
    fix: "give more of the id",
  });
}

/** The error for a reference that fits nothing, with the name that was probably meant. */
export function noSuchTask(reference: string, all: TaskRecord[]): NavvyError {
  const meant = closest(reference, [...all.map((task) => task.name), ...all.map((task) => task.id.slice(-reference.length))]);
  return new NavvyError("not_found", `there is no task ${JSON.stringify(reference)}${meant ? `; did you mean ${meant}?` : ""}`, {
    why: "a task is named by its id, the last 4 or more characters of its id, its name, or project/name",
    fix: "navvy task ls",
  });
}
