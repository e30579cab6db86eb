/**
 * `navvy/task`: what a running task says to its agent and asks of it. Files only, no NATS, no dependencies.
 *
 * Outside navvy every report does nothing (one warning on stderr), so the same program runs by hand.
 */
import { openTask } from "./task.js";

export type { AbortListener, Histogram, NoteLevel, Value } from "./task.js";
export { CurrentTask, openTask } from "./task.js";

/** The task that this process is. */
export const task = openTask();
