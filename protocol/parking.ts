import { z } from "zod";

/** So many tasks can be awaited by one that is parked: its record has an end. */
export const MAX_AWAITED = 500;

const TaskId = z.string().regex(/^[0-9A-HJKMNP-TV-Z]{26}$/, "is no task's id");

/** What a program that ends itself waits for: it is started again, from its top, when that comes about. */
export const ParkWish = z.object({
  /** Ids of tasks: the first of them that has ended, or is gone, wakes it. */
  on: z.array(TaskId).max(MAX_AWAITED).default([]),
  /** Not before all of them have ended. */
  all: z.boolean().optional(),
  /** RFC 3339. Then it is woken in any case. */
  until: z.iso.datetime({ offset: true }).optional(),
  /** Someone wakes it when there is something new for it: an approval, say. Without tasks and time nothing else does. */
  keys: z.boolean().optional(),
  /** An abort does not end it at once but starts it once more, with the wish in its record, to see to what it has to. */
  tidies: z.boolean().optional(),
});
export type ParkWish = z.infer<typeof ParkWish>;

/** What stands in the record of a queued task that waits for others and not for a place. */
export const Parked = ParkWish.extend({ at: z.string() });
export type Parked = z.infer<typeof Parked>;

/** Whether there is anything that would wake a task which parks so. */
export function canWake({ on, until, keys }: ParkWish): boolean {
  return on.length > 0 || until !== undefined || keys === true;
}

/** What becomes of a task's open children when it has ended as aborted. */
export const CHILDREN_ON_ABORT = ["leave", "abort"] as const;
export type ChildrenOnAbort = (typeof CHILDREN_ON_ABORT)[number];
