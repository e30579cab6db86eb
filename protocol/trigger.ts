import { z } from "zod";
import { Launch, Paused, Trouble } from "./launch.js";

/** Statuses that a trigger can wait for: a draft is none yet. */
export const TRIGGER_STATUSES = ["queued", "running", "completed", "failed", "aborted", "published"] as const;

/** What a trigger fires on. Names are patterns with `*`. */
export const TriggerOn = z.discriminatedUnion("kind", [
  /** Once for each task that comes to one of them, and once more after it was reset. */
  z.object({ kind: z.literal("status"), statuses: z.array(z.enum(TRIGGER_STATUSES)).min(1) }),
  /** Once for each task that comes to meet the condition, `val/acc.max > 0.9`, and once more after it was reset. */
  z.object({ kind: z.literal("metric"), where: z.string() }),
  /** Once for each content of an artifact of that name. */
  z.object({ kind: z.literal("artifact"), name: z.string() }),
  z.object({ kind: z.literal("model"), name: z.string() }),
  /** Once for each task that has the tag. */
  z.object({ kind: z.literal("tag"), tag: z.string() }),
]);
export type TriggerOn = z.infer<typeof TriggerOn>;

/** Which tasks count; all that is said has to fit. */
export const TriggerFilter = z.object({
  project: z.string().optional(),
  /** A pattern with `*`. */
  name: z.string().optional(),
  /** All of them. */
  tags: z.array(z.string()).optional(),
  taskType: z.string().optional(),
  queue: z.string().optional(),
});
export type TriggerFilter = z.infer<typeof TriggerFilter>;

/** What is to be done upon what: key `<name>` of the triggers bucket. */
export const Trigger = z.object({
  type: z.literal("navvy.trigger.v1"),
  name: z.string(),
  /** ULID: a trigger that is made again under the same name is another one. */
  id: z.string(),
  createdAt: z.string(),
  createdBy: z.string(),
  on: TriggerOn,
  filter: TriggerFilter.default({}),
  launch: Launch,
  /** Inputs of the clone: name → artifact of the task that it fired on. */
  inputs: z.record(z.string(), z.string()).optional(),
  /** Also on tasks that come of its own firings. */
  onOwn: z.boolean().default(false),
  /** Nothing that happened before counts: its making, or the end of its last pause. */
  since: z.string(),
  /** The revision of the tasks' bucket then. */
  sinceRevision: z.number().int(),
  paused: Paused.optional(),
});
export type Trigger = z.infer<typeof Trigger>;

/** How a trigger stands: key `<name>.state`. */
export const TriggerState = z.object({
  type: z.literal("navvy.trigger-state.v1"),
  /** Id of the trigger: another one's state counts as none. */
  trigger: z.string(),
  /** All records up to this revision of the tasks' bucket were looked at: who leads next goes on there. */
  seenTo: z.number().int(),
  /** When the last of them was written, by the server's clock. */
  seenAt: z.string().optional(),
  fired: z.number().int(),
  /** The latest: what it made, and the task that it fired on. */
  last: z.object({ at: z.string(), task: z.string(), of: z.string() }).optional(),
  trouble: Trouble.optional(),
  changedAt: z.string(),
});
export type TriggerState = z.infer<typeof TriggerState>;

/** What of a record decides whether a trigger could fire on it at all. */
export interface TriggerHead {
  id: string;
  name: string;
  project: string;
  taskType: string;
  tags: string[];
  status: string;
  queue?: string | undefined;
  attempt: number;
}
