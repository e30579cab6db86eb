import { canWake, MAX_AWAITED, NavvyError, ParkWish } from "../protocol/index.js";
import { task } from "../task/index.js";
import { leaveProcess } from "./ending.js";
import type { Task } from "./task.js";

/** What wakes a parked controller: any of it. */
export interface ParkOptions {
  /** Tasks, or their ids: the first that has ended wakes it. */
  on?: Iterable<Pick<Task, "id"> | string>;
  /** Not before all of them have ended. */
  all?: boolean;
  until?: Date | string;
  /** `navvy task unpark`, or a program's `tasks.unpark`. */
  keys?: boolean;
  /** An abort does not end it at once: it is started once more with the wish in its record (`me.record.abort`). */
  tidies?: boolean;
}

/**
 * Ends this process; its task waits without one, holds no slot, and is started again from its top, as its next attempt, by what it waits
 * for. What it has reported stays. Everything that is under way in this process ends with it.
 * @throws NavvyError illegal_move (not started by an agent that can park it), invalid_argument (nothing would wake it, too much to wait for)
 */
export async function park(options: ParkOptions): Promise<never> {
  const wish = wishOf(options);
  if (!task.canPark) throw notHere();
  task.park(wish);
  return leaveProcess();
}

function wishOf({ on = [], all, until, keys, tidies }: ParkOptions): ParkWish {
  const ids = [...new Set(Array.from(on, (each) => (typeof each === "string" ? each : each.id)))];
  const time = until instanceof Date ? until.toISOString() : until;
  const flags = Object.fromEntries(Object.entries({ all, keys, tidies }).filter(([, value]) => value === true));
  const parsed = ParkWish.safeParse({ on: ids, ...flags, ...(time ? { until: time } : {}) });
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new NavvyError("invalid_argument", `can not park: ${issue?.path.join(".")} ${issue?.message}`, {
      why: `at most ${MAX_AWAITED} tasks by their whole ids, and a time as 2026-01-31T12:00:00Z`,
    });
  }
  if (canWake(parsed.data)) return parsed.data;
  throw new NavvyError("invalid_argument", "can not park: nothing would ever wake it", {
    fix: "park({ on: [task] }), park({ until: date }) or park({ keys: true })",
  });
}

function notHere(): NavvyError {
  return new NavvyError(
    "illegal_move",
    task.isInside ? "the agent that runs this task can not park it" : "only a task that an agent runs can park",
    {
      why: task.isInside ? "it is of an older navvy" : "whoever parks is started again by an agent",
      fix: task.isInside ? "upgrade the agent" : "run it on the services queue: await me.executeRemotely()",
    },
  );
}
