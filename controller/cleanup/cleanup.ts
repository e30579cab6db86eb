import type { Navvy } from "../../broker/index.js";
import { isNavvyError, type TaskRecord } from "../../protocol/index.js";
import { task as ownTask } from "../../task/index.js";
import { patiently } from "../patience.js";
import { type CleanupChoice, selectOld } from "./select.js";

export interface CleanupOptions extends CleanupChoice {
  /** Only say what would go. */
  isDry?: boolean;
}

/** What became of one task, and why: `archived`, `deleted`, `kept`; `changed`: it was something else by then. */
export interface CleanupLine {
  task: TaskRecord;
  done: "archived" | "deleted" | "kept" | "changed";
  why?: string | undefined;
}

/**
 * Archives or deletes ended tasks that are old, one after the other. What their logs, metrics and artifacts take is freed by
 * `navvy gc`, as with everything that is deleted. Inside navvy it says how much it did as outputs of its own task.
 */
export async function cleanUp(navvy: Navvy, options: CleanupOptions): Promise<CleanupLine[]> {
  const all = (await Promise.all([false, true].map((archived) => patiently(() => navvy.tasks.list({ archived }))))).flat();
  const templates = await patiently(() => navvy.storage.templates());
  const lines: CleanupLine[] = [];
  for (const { task, kept } of selectOld(all, options, { nowMs: Date.now(), templates })) {
    if (task.id === ownTask.id) continue;
    lines.push(kept === undefined ? await takeAway(navvy, task, options) : { task, done: "kept", why: kept });
  }
  if (ownTask.isInside && !options.isDry)
    for (const done of ["archived", "deleted", "kept"] as const) ownTask.output(done, lines.filter((line) => line.done === done).length);
  return lines;
}

async function takeAway(navvy: Navvy, task: TaskRecord, { verb, isDry = false }: CleanupOptions): Promise<CleanupLine> {
  const done = verb === "archive" ? "archived" : "deleted";
  if (isDry) return { task, done };
  try {
    await patiently(async () => {
      const latest = await navvy.tasks.get(task.id);
      if (latest.status !== task.status || latest.ticket !== task.ticket) return Promise.reject(new Changed(latest.status));
      await (verb === "archive" ? navvy.tasks.archive(task.id) : navvy.tasks.delete(task.id));
    });
    return { task, done };
  } catch (error) {
    if (error instanceof Changed) return { task, done: "changed", why: `it is ${error.message} by now` };
    if (isNavvyError(error, "not_found")) return { task, done: "changed", why: "somebody deleted it meanwhile" };
    if (isNavvyError(error, "illegal_move") || isNavvyError(error, "conflict")) return { task, done: "changed", why: error.message };
    throw error;
  }
}

/** Somebody took the task up again between the look and the deed. */
class Changed extends Error {}
