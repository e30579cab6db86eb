import { z } from "zod";
import { CLASSES } from "./subjects.js";
import { ParameterValue } from "./task-spec.js";

/** What a schedule or trigger makes each time: a clone of its template, on a queue. */
export const Launch = z.object({
  /** Id of the task that is cloned. */
  template: z.string(),
  /** What it was called when it was chosen, for people. */
  templateName: z.string(),
  queue: z.string(),
  class: z.enum(CLASSES).optional(),
  /** Of the clone, in place of the template's; may hold `${…}`. */
  name: z.string().optional(),
  project: z.string().optional(),
  tags: z.array(z.string()).optional(),
  /** `Section/name` → value; texts may hold `${…}`. */
  parameters: z.record(z.string(), ParameterValue).optional(),
});
export type Launch = z.infer<typeof Launch>;

/** What made a task by itself. Absent: a person or a program did. */
export const FiredBy = z.object({
  kind: z.enum(["schedule", "trigger"]),
  name: z.string(),
  /** One that is made again under the same name has another id. */
  id: z.string(),
  /** The time that it was due, or that a person asked for it. */
  at: z.string(),
  /** Of a schedule: counts from 1. */
  run: z.number().int().optional(),
  /** Of a trigger: the task that it fired on. */
  task: z.string().optional(),
  /** Ids of the triggers that led to this task, oldest first: one does not fire on what comes of its own firings. */
  via: z.array(z.string()).optional(),
});
export type FiredBy = z.infer<typeof FiredBy>;

/** Who holds a schedule or trigger back, and why. */
export const Paused = z.object({ at: z.string(), by: z.string(), reason: z.string() });
export type Paused = z.infer<typeof Paused>;

/** What went wrong with a firing; it stays until one succeeds. */
export const Trouble = z.object({ at: z.string(), message: z.string() });
export type Trouble = z.infer<typeof Trouble>;
