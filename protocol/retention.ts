import { z } from "zod";

/** What is kept for a time of its own. */
export const KEPT_KINDS = ["tasks", "logs", "metrics", "artifacts"] as const;
export type KeptKind = (typeof KEPT_KINDS)[number];

/** Absent: what holds around it. 0: for ever, without a limit. */
export const KeepLimit = z.object({
  /** How long after its task's end. */
  ageMs: z.number().min(0).optional(),
  /** What all of a place may take together. */
  bytes: z.number().int().min(0).optional(),
});
export type KeepLimit = z.infer<typeof KeepLimit>;

export const Keep = z.object({
  tasks: KeepLimit.optional(),
  logs: KeepLimit.optional(),
  metrics: KeepLimit.optional(),
  artifacts: KeepLimit.optional(),
});
export type Keep = z.infer<typeof Keep>;

/**
 * How long what is kept: key `retention` of the control bucket. An age is the project's, else the queue's, else the fleet's; a size
 * holds for all that stands in its place together. Without it everything is kept.
 */
export const Retention = z.object({
  type: z.literal("navvy.retention.v1"),
  /** The fleet's. */
  default: Keep.default({}),
  projects: z.record(z.string(), Keep).default({}),
  queues: z.record(z.string(), Keep).default({}),
  /** Whoever coordinates enforces it so often; absent: only `navvy gc` does. */
  everyMs: z.number().positive().optional(),
  changedAt: z.string(),
  by: z.string(),
});
export type Retention = z.infer<typeof Retention>;

/** The latest garbage collection: key `gc` of the control bucket. Written when it begins. */
export const GcRecord = z.object({ type: z.literal("navvy.gc.v1"), at: z.string(), by: z.string() });
export type GcRecord = z.infer<typeof GcRecord>;
