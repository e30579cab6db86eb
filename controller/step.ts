import type { ParameterValue } from "../protocol/index.js";
import { NavvyError } from "../protocol/index.js";
import { alive } from "./alive.js";
import { connection } from "./connection.js";
import { patiently } from "./patience.js";
import { Task } from "./task.js";

const underWay = new Set<string>();

/**
 * Does something once for the whole life of this process's task: what it gave stands in the task's journal, and a controller that runs
 * again, anywhere, gets it from there without doing it. What throws is not noted, so it is tried again then. A process that is killed
 * between the doing and the noting does it again: what must not happen twice needs a key of its own out there, and tasks have one
 * (`Task.clone(template, { key })`).
 * @param key unique within the controller, and the same whenever it runs
 * @returns what `work` gave: null, true, numbers, text, lists and maps of these; undefined comes back as null
 * @throws NavvyError invalid_argument (the value, or a key that is under way already), not_running (this process is no task)
 */
export async function step<T extends ParameterValue | undefined>(key: string, work: () => Promise<T> | T): Promise<T> {
  const id = Task.currentId();
  if (id === undefined) {
    throw new NavvyError("illegal_move", `step ${JSON.stringify(key)} has no task to be noted for`, {
      fix: "await Task.init({ name }) before",
    });
  }
  if (underWay.has(key)) {
    throw new NavvyError("invalid_argument", `step ${JSON.stringify(key)} is under way already`, {
      why: "two steps with one key could not be told apart when the controller runs again",
      fix: "give each a key of its own",
    });
  }
  underWay.add(key);
  try {
    const journal = (await connection()).journals.of(id);
    const noted = await patiently(() => journal.get(`user:${key}`));
    if (noted) return noted.value as T;
    const value = await alive(async () => work());
    return (await patiently(() => journal.put(`user:${key}`, value ?? null))).value as T;
  } finally {
    underWay.delete(key);
  }
}
