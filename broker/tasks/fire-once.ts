import { type FiredBy, type Launch, NavvyError, type TaskRecord, type TaskSpec } from "../../protocol/index.js";
import { derivedId } from "./draft.js";
import type { Tasks } from "./tasks.js";

/** A clone that is wanted once, whoever asks for it and however often. */
export interface Order {
  launch: Launch;
  firedBy: FiredBy;
  /** Names the firing among all of its schedule's or trigger's. */
  key: string;
  /** Over the template's. */
  spec?: Partial<TaskSpec>;
}

/**
 * Clones the template and enqueues the clone, once for each key: its id is made from the schedule's or trigger's id and the key, so
 * that two leaders at once make one task, and one that died between the two steps is followed by one that enqueues its draft.
 * @returns the task, and whether this call made it; undefined: it was made before and has been deleted since
 * @throws NavvyError not_found (the template is gone), invalid_argument, too_large
 */
export async function fireOnce(tasks: Tasks, order: Order): Promise<{ task: TaskRecord; isNew: boolean } | undefined> {
  const id = derivedId(order.firedBy.id, order.key);
  const before = await tasks.bucket.ask(`read ${id}`, async () => (await tasks.bucket.handle()).get(id));
  if (before && before.operation !== "PUT") return undefined;
  const isNew = !before && (await clone(tasks, order));
  const entry = await tasks.bucket.get(id);
  if (!entry) return undefined;
  return { task: await enqueueOnce(tasks, entry.value, order.launch), isNew };
}

/** @returns false when another leader was faster */
async function clone(tasks: Tasks, { launch, firedBy, key, spec }: Order): Promise<boolean> {
  const { template, templateName, name, project, tags, parameters } = launch;
  if (!(await tasks.bucket.get(template))) throw templateGone(template, templateName);
  const { isNew } = await tasks.cloneOnce(template, {
    key,
    firedBy,
    ...(spec ? { spec } : {}),
    ...(name === undefined ? {} : { name }),
    ...(project === undefined ? {} : { project }),
    ...(tags ? { tags } : {}),
    ...(parameters ? { parameters } : {}),
  });
  return isNew;
}

/** A ticket says that it was on a queue once: then what became of it is not to be undone. */
async function enqueueOnce(tasks: Tasks, task: TaskRecord, { queue, class: place }: Launch): Promise<TaskRecord> {
  if (task.status !== "draft" || task.ticket > 0) return task;
  try {
    return await tasks.enqueue(task.id, { queue, createQueue: true, ...(place ? { class: place } : {}) });
  } catch (error) {
    const now = await tasks.bucket.get(task.id);
    if (now && now.value.ticket > 0) return now.value; // another leader was faster
    throw error;
  }
}

function templateGone(template: string, templateName: string): NavvyError {
  return new NavvyError("not_found", `its template ${templateName} (${template}) is gone`, {
    why: "the task was deleted since it was chosen",
    fix: "navvy task ls, then make it again with another one",
  });
}
