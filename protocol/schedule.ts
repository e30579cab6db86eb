import { z } from "zod";
import { Launch, Paused, Trouble } from "./launch.js";

/** When a schedule is due. Times are UTC; a cron expression is read in its zone. */
export const When = z.discriminatedUnion("kind", [
  /** Five fields, or `@hourly` and the like. `timezone` is a name of the IANA database. */
  z.object({ kind: z.literal("cron"), cron: z.string(), timezone: z.string() }),
  /** At `startAt` and every so often after it. */
  z.object({ kind: z.literal("interval"), everyMs: z.number().positive(), startAt: z.string() }),
  z.object({ kind: z.literal("once"), at: z.string() }),
]);
export type When = z.infer<typeof When>;

/** What becomes of a firing while the last one's task has not ended: none, one after the other, or both at once. */
export const OVERLAPS = ["skip", "queue", "parallel"] as const;
export type Overlap = (typeof OVERLAPS)[number];

/** What is made up for of the firings that nobody was there for: nothing, the latest, or all up to a limit. */
export const CATCH_UPS = ["none", "last", "all"] as const;
export type CatchUp = (typeof CATCH_UPS)[number];

export const DEFAULT_CATCH_UP_LIMIT = 10;

/** What is to be done when: key `<name>` of the schedules bucket. Written by people; what has come of it stands beside it. */
export const Schedule = z.object({
  type: z.literal("navvy.schedule.v1"),
  name: z.string(),
  /** ULID: a schedule that is made again under the same name is another one. */
  id: z.string(),
  createdAt: z.string(),
  createdBy: z.string(),
  when: When,
  launch: Launch,
  overlap: z.enum(OVERLAPS).default("skip"),
  catchUp: z.enum(CATCH_UPS).default("last"),
  /** Of `all`: so many of the latest. */
  catchUpLimit: z.number().int().positive().default(DEFAULT_CATCH_UP_LIMIT),
  /** Nothing is due after that. */
  until: z.string().optional(),
  /** It ends after so many firings by time. */
  limit: z.number().int().positive().optional(),
  paused: Paused.optional(),
});
export type Schedule = z.infer<typeof Schedule>;

/** A firing that is decided and not done yet. */
export const Firing = z.object({
  /** Names it: the time that it was due, or a name of its own when a person asked for it. */
  key: z.string(),
  at: z.string(),
  run: z.number().int(),
  /** The person who asked for it. */
  by: z.string().optional(),
});
export type Firing = z.infer<typeof Firing>;

/** How a schedule stands: key `<name>.state`. Written by compare-and-set by whoever leads, and by who asks for a run. */
export const ScheduleState = z.object({
  type: z.literal("navvy.schedule-state.v1"),
  /** Id of the schedule: another one's state counts as none. */
  schedule: z.string(),
  /** All that was due up to here is decided. */
  decidedTo: z.string(),
  /** Run numbers given out, and how many of them by time. */
  runs: z.number().int(),
  timed: z.number().int(),
  /** In order; each is done once, by whoever comes to it. */
  waiting: z.array(Firing).default([]),
  last: Firing.extend({ task: z.string(), firedAt: z.string() }).optional(),
  /** Firings that came to nothing, by the schedule's own rules. */
  skipped: z.number().int().default(0),
  trouble: Trouble.optional(),
  changedAt: z.string(),
});
export type ScheduleState = z.infer<typeof ScheduleState>;
