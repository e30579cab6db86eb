import type { Navvy } from "../broker/index.js";
import { NavvyError, type TaskRecord } from "../protocol/index.js";
import type { Call } from "./call.js";
import { shortId } from "./output/words.js";

/**
 * Finds a task as people name it: id, suffix of it, name (the newest wins, and it says so), project/name, `@last`,
 * `@last-failed` (of your own).
 * @throws NavvyError not_found, ambiguous
 */
export async function findTask(call: Call<unknown>, reference: string): Promise<TaskRecord> {
  const navvy = await call.navvy();
  if (reference.startsWith("@")) return lastOf(navvy, reference);
  const task = await navvy.tasks.get(reference);
  const isByName = !task.id.endsWith(reference.toUpperCase());
  if (isByName) await sayWhich(call, task, navvy);
  return task;
}

async function lastOf(navvy: Navvy, reference: string): Promise<TaskRecord> {
  if (reference !== "@last" && reference !== "@last-failed") {
    throw new NavvyError("invalid_argument", `${reference} is not known`, { fix: "use @last or @last-failed" });
  }
  const tasks = await navvy.tasks.list(reference === "@last" ? {} : { status: "failed" });
  const found = tasks.find((task) => task.createdBy === navvy.bus.actor);
  if (found) return found;
  throw new NavvyError("not_found", `there is no task ${reference}`, {
    why: `${navvy.bus.actor} has made none that fits`,
    fix: "navvy task ls",
  });
}

async function sayWhich(call: Call<unknown>, task: TaskRecord, navvy: Navvy): Promise<void> {
  const namesakes = await navvy.tasks.list({ name: task.name, project: task.project, archived: task.archived });
  if (namesakes.length > 1) call.out.talk(`${task.name}: ${shortId(task.id)} is the newest of ${namesakes.length}`);
}
