import { type Firing, isNavvyError, type Schedule, type ScheduleState, type TaskRecord } from "../../protocol/index.js";
import type { Events } from "../events.js";
import { fireOnce, type Tasks } from "../tasks/index.js";
import type { ScheduleBook, Scheduled } from "./book.js";
import { decide, nextFiring } from "./decide.js";
import { launchOf } from "./scope.js";

export interface AdvanceParts {
  book: ScheduleBook;
  tasks: Tasks;
  events: Events;
}

/**
 * Brings one schedule up to a time: decides what fell due, then does what is decided. Safe to repeat, and for several at once.
 *
 * Order matters. What is to run is decided first, by compare-and-set, so the policies are asked once for each firing. Then its task is
 * made and queued, under an id of the firing's own. Only then the firing is crossed off: who dies in between is followed by one that
 * finds it, finds its task, and goes on.
 */
export async function advance(parts: AdvanceParts, name: string, now: number): Promise<void> {
  while (!(await decideDue(parts, name, now))); // someone else was first: look again
  while (await doNext(parts, name));
}

/** @returns false when another one wrote meanwhile */
async function decideDue({ book, tasks, events }: AdvanceParts, name: string, now: number): Promise<boolean> {
  const found = await book.get(name);
  if (!found || decide(found.schedule, found.state, { now, isBusy: false }) === undefined) return true;
  const isBusy = await isOpen(tasks, found.state);
  const decision = decide(found.schedule, found.state, { now, isBusy });
  if (!decision) return true;
  if (!(await book.write(name, decision.state, found.revision))) return false;
  for (const { event, at, reason } of decision.dropped) events.emit({ kind: "schedule", id: name, event, reason, key: at, data: { at } });
  return true;
}

/** Whether the last firing's task is on its way. */
export async function isOpen(tasks: Tasks, { last }: ScheduleState): Promise<boolean> {
  const entry = last && (await tasks.bucket.get(last.task));
  return entry?.value.status === "queued" || entry?.value.status === "running";
}

/** @returns whether there may be more to do */
async function doNext(parts: AdvanceParts, name: string): Promise<boolean> {
  const found = await parts.book.get(name);
  const firing = found && nextFiring(found.schedule, found.state);
  if (!found || !firing) return false;
  if (found.schedule.overlap !== "parallel" && (await isOpen(parts.tasks, found.state))) return false;
  await crossOff(parts, { scheduled: found, firing, result: await fire(parts.tasks, found.schedule, firing) });
  return true;
}

type Result = { task: TaskRecord } | { failure: string };

/** What can be tried again is thrown: the firing stays. */
async function fire(tasks: Tasks, schedule: Schedule, firing: Firing): Promise<Result> {
  const { name, id } = schedule;
  const firedBy = { kind: "schedule" as const, name, id, at: firing.at, run: firing.run };
  try {
    const fired = await fireOnce(tasks, { launch: launchOf(schedule, firing), firedBy, key: firing.key });
    return fired ?? { failure: "its task was deleted before it was on its queue" };
  } catch (error) {
    if (!isNavvyError(error) || error.retryable) throw error;
    return { failure: error.message };
  }
}

async function crossOff(parts: AdvanceParts, done: { scheduled: Scheduled; firing: Firing; result: Result }): Promise<void> {
  const { firing, result } = done;
  const { name, id } = done.scheduled.schedule;
  for (;;) {
    const found = await parts.book.get(name);
    if (found?.schedule.id !== id || !found.state.waiting.some(({ key }) => key === firing.key)) return; // done by another one
    if (await parts.book.write(name, without(found.state, firing, result), found.revision)) break;
  }
  const { at, run, by } = firing;
  const whose = { kind: "schedule" as const, id: name, key: firing.key, ...(by === undefined ? {} : { by }) };
  if ("failure" in result) parts.events.emit({ ...whose, event: "failed", reason: result.failure, data: { at, run } });
  else parts.events.emit({ ...whose, event: "fired", reason: `run ${run}`, data: { at, run, task: result.task.id } });
}

function without(state: ScheduleState, firing: Firing, result: Result): ScheduleState {
  const { trouble: _trouble, ...rest } = state;
  const changedAt = new Date().toISOString();
  const next = { ...rest, waiting: state.waiting.filter(({ key }) => key !== firing.key), changedAt };
  if ("failure" in result) return { ...next, trouble: { at: changedAt, message: result.failure } };
  return { ...next, last: { ...firing, task: result.task.id, firedAt: changedAt } };
}
