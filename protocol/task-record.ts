import { z } from "zod";
import { FiredBy } from "./launch.js";
import { Outcome } from "./outcome.js";
import { CHILDREN_ON_ABORT, Parked } from "./parking.js";
import { ON_DISCONNECT, PHASES, STATUSES } from "./states.js";
import { CLASSES } from "./subjects.js";
import { ParameterValue, TaskSpec } from "./task-spec.js";

export const TASK_TYPES = [
  "training",
  "testing",
  "inference",
  "data_processing",
  "application",
  "monitor",
  "controller",
  "service",
  "optimizer",
  "qc",
  "custom",
] as const;

/** Of one artifact. */
export const MAX_PREVIEW_CHARACTERS = 200;

export const ArtifactRef = z.object({
  name: z.string(),
  /** sha256 of the content, hex: the object's name in the object store. */
  sha256: z.string(),
  sizeBytes: z.number(),
  attempt: z.number().int(),
  uploadedAt: z.string(),
  kind: z.string().optional(),
  /** A folder of so many files: `sha256` is that of its tree (`navvy.folder.v1`), `sizeBytes` the size of all its files. */
  files: z.number().int().optional(),
  /** URL of the store that holds it. Absent: the fleet's own object store. */
  store: z.string().optional(),
  mediaType: z.string().optional(),
  /** Its beginning or what it is, for people; only while the record has room. */
  preview: z.string().max(MAX_PREVIEW_CHARACTERS).optional(),
  /** Of a model: what its task called it. */
  version: z.string().optional(),
});
export type ArtifactRef = z.infer<typeof ArtifactRef>;

/** A record names this many artifacts; with more, the artifact `MANIFEST_NAME` is the JSON list of all. */
export const MAX_RECORD_ARTIFACTS = 100;
export const MANIFEST_NAME = "artifacts.manifest.json";

/** NaN and infinities are figures too: a diverged loss is worth knowing. */
const Figure = z.custom<number>((value) => typeof value === "number", "expected a number");

/** One metric's figures over the attempt: what lists, controllers and triggers ask for. */
export const MetricSummary = z.object({
  last: Figure,
  lastStep: Figure,
  min: Figure,
  minStep: Figure,
  max: Figure,
  maxStep: Figure,
  count: z.number().int(),
});
export type MetricSummary = z.infer<typeof MetricSummary>;

/** An attempt's log as one object, rolled out of the log stream. */
export const RolledLog = z.object({
  /** sha256 of the compressed content, hex: the object's name. */
  sha256: z.string(),
  /** Compressed. */
  sizeBytes: z.number(),
  /** How far each stream of the log reaches in it. */
  bytes: z.record(z.string(), z.number()),
  /** Sequence of the last message of the log stream that is in it: only what came later is still read from there. */
  upTo: z.number().int(),
});
export type RolledLog = z.infer<typeof RolledLog>;

export const Attempt = z.object({
  attempt: z.number().int(),
  agent: z.string(),
  session: z.string(),
  claimedAt: z.string(),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  outcome: Outcome.optional(),
  /** What it ran in: the image as it was asked for, its id on that machine, and its digest where the engine knows one. */
  image: z.object({ reference: z.string(), id: z.string(), digest: z.string().optional() }).optional(),
  /** The commit that its code was. */
  commit: z.string().optional(),
  /** The GPUs that it held: their UUIDs, or numbers where they have none. */
  gpus: z.array(z.string()).optional(),
  /** Bytes that each stream of its log holds, once it has ended in good order: a reader that has them has all. */
  logBytes: z.record(z.string(), z.number()).optional(),
  log: RolledLog.optional(),
  /** It ended itself to be started again by what it waits for: the next attempt goes on with its reports. */
  parked: z.boolean().optional(),
});
export type Attempt = z.infer<typeof Attempt>;

/** What an agent finds out about its attempt on the way: it goes into the attempt's entry. */
export type AttemptFacts = Pick<Partial<Attempt>, "image" | "commit" | "gpus">;

/** What the running attempt has reported so far; replaced whole, fenced by the attempt. */
export const Reported = z.object({
  outputs: z.record(z.string(), ParameterValue).default({}),
  metrics: z.record(z.string(), MetricSummary).default({}),
  /** Metrics beyond what fits here; their points are on the metric stream all the same. */
  metricsOmitted: z.number().int().default(0),
  artifacts: z.array(ArtifactRef).default([]),
  progress: z.object({ n: z.number(), of: z.number().optional(), unit: z.string().optional() }).optional(),
  /** One with a `key` takes the place of an earlier one with it. */
  notes: z
    .array(z.object({ at: z.string(), level: z.enum(["info", "warn", "error"]), text: z.string(), key: z.string().optional() }))
    .default([]),
  /** Parameters that the task found out or chose itself. */
  params: z.record(z.string(), ParameterValue).optional(),
  /** Its page for people, Markdown, as an object. */
  summary: z.object({ sha256: z.string(), sizeBytes: z.number() }).optional(),
});
export type Reported = z.infer<typeof Reported>;

export const Owner = z.object({ agent: z.string(), session: z.string() });
export type Owner = z.infer<typeof Owner>;

/** A wish to end a running task: requested here, delivered to the agent, confirmed by status `aborted`. */
export const AbortWish = z.object({
  at: z.string(),
  by: z.string(),
  reason: z.string(),
  graceMs: z.number().min(0).optional(),
  deliveredAt: z.string().optional(),
});
export type AbortWish = z.infer<typeof AbortWish>;

export const TaskRecord = z.object({
  type: z.literal("navvy.task.v1"),
  /** ULID. */
  id: z.string(),
  name: z.string(),
  project: z.string(),
  taskType: z.string(),
  tags: z.array(z.string()).default([]),
  /** When each tag was added that was not there from the beginning. */
  tagged: z.record(z.string(), z.string()).optional(),
  comment: z.string().optional(),
  parent: z.string().optional(),
  clonedFrom: z.string().optional(),
  /** Of a step of a pipeline that may be taken from a cache: its key, the hash of each of its parts, and why it ran. */
  cache: z.object({ key: z.string(), parts: z.record(z.string(), z.string()), why: z.string() }).optional(),
  firedBy: FiredBy.optional(),
  archived: z.boolean().default(false),
  createdAt: z.string(),
  createdBy: z.string(),

  spec: TaskSpec,

  status: z.enum(STATUSES),
  /** Why the last move was made, by whom and when. */
  reason: z.string(),
  by: z.string(),
  changedAt: z.string(),
  phase: z.enum(PHASES).optional(),

  /** Where it is (or was last) queued. */
  queue: z.string().optional(),
  class: z.enum(CLASSES).default("normal"),
  shape: z.string().default("cpu"),
  /** Raised at every enqueue; a message with another ticket is stale. */
  ticket: z.number().int().default(0),
  enqueuedAt: z.string().optional(),
  /** Not before this time (delays, back-off): the scheduler publishes the ticket when it is due. */
  notBefore: z.string().optional(),
  /** Of a queued one: it waits for others, and has no ticket on its lane until it is woken. */
  parked: Parked.optional(),
  /** Of a running one: someone woke it meanwhile, so it does not park. */
  wokenAt: z.string().optional(),

  /** Number of the running or last attempt; 0: never ran. The fencing token. */
  attempt: z.number().int().default(0),
  /** Of a task that has parked: the attempt from which on its reports and logs are one. */
  firstAttempt: z.number().int().optional(),
  owner: Owner.optional(),
  /** What holds for the running attempt, settled at its claim. Absent: freeze. */
  onDisconnect: z.enum(ON_DISCONNECT).optional(),
  /** Since when its session is gone while it runs on (`continue`): until its agent is back, or a person gives it up. */
  unreachableAt: z.string().optional(),
  abort: AbortWish.optional(),
  /** Said by its program. Absent: they are left. */
  childrenOnAbort: z.enum(CHILDREN_ON_ABORT).optional(),
  /** Failures of the program that used up a retry, and losses of a machine, since the last enqueue by a person. */
  failures: z.number().int().default(0),
  losses: z.number().int().default(0),
  /** The first attempt since the last reset and the latest ones, oldest first, at most 20. */
  attempts: z.array(Attempt).default([]),
  outcome: Outcome.optional(),
  endedAt: z.string().optional(),
  /** When retention took parts of an ended task away: `logs`, `metrics`, `artifacts`. */
  expired: z.record(z.string(), z.string()).optional(),

  reported: Reported.default({ outputs: {}, metrics: {}, metricsOmitted: 0, artifacts: [], notes: [] }),
});
export type TaskRecord = z.infer<typeof TaskRecord>;

/** The little of a record that says where its task stands: for those who follow every change of every task. */
export const TaskHead = TaskRecord.pick({
  type: true,
  id: true,
  status: true,
  owner: true,
  ticket: true,
  queue: true,
  class: true,
  shape: true,
  notBefore: true,
  enqueuedAt: true,
  attempt: true,
  onDisconnect: true,
  unreachableAt: true,
  parent: true,
  parked: true,
  childrenOnAbort: true,
  endedAt: true,
});
export type TaskHead = z.infer<typeof TaskHead>;
