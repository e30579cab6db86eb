import { z } from "zod";
import { ParameterValue } from "./task-spec.js";

/** Longest value that stands in the journal itself, as JSON; a longer one is an object that the entry names. */
export const MAX_JOURNAL_VALUE_BYTES = 32 * 1024;

/** One finished step of a controller. Key in the bucket: `<task>.<token of its key>`. */
export const JournalEntry = z.object({
  type: z.literal("navvy.journal.v1"),
  /** What the controller calls the step. */
  key: z.string(),
  at: z.string(),
  by: z.string(),
  value: ParameterValue.optional(),
  /** In place of `value`: JSON in the object store. */
  object: z.object({ sha256: z.string(), sizeBytes: z.number() }).optional(),
});
export type JournalEntry = z.infer<typeof JournalEntry>;

/**
 * Whose results stand for a step of a pipeline that would do the same again. Key in the bucket: `<hash of all parts>`; also
 * `last.<hash of project, pipeline and step>`: what that step last was, to say what has changed since.
 */
export const CacheEntry = z.object({
  type: z.literal("navvy.cache.v1"),
  /** The task that ran it. */
  task: z.string(),
  at: z.string(),
  by: z.string(),
  /** The hash of each part by name: code, command, parameters … */
  parts: z.record(z.string(), z.string()),
});
export type CacheEntry = z.infer<typeof CacheEntry>;
