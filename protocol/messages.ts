import { z } from "zod";
import { Needs } from "./needs.js";
import { ON_DISCONNECT } from "./states.js";
import { CLASSES, EVENT_KINDS } from "./subjects.js";

export const Bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, "expected bytes");

/** A queued message: a hint that a task waits. The record is the truth. */
export const Ticket = z.object({ type: z.literal("navvy.ticket.v1"), id: z.string(), ticket: z.number().int() });
export type Ticket = z.infer<typeof Ticket>;

/** A queue's entry: whether it is paused, and the lanes that have a consumer. */
export const QueueRecord = z.object({
  type: z.literal("navvy.queue.v1"),
  name: z.string(),
  createdAt: z.string(),
  createdBy: z.string(),
  paused: z.object({ at: z.string(), by: z.string(), reason: z.string() }).optional(),
  /** `needs`: what a hashed shape stands for. */
  lanes: z.array(z.object({ class: z.enum(CLASSES), shape: z.string(), needs: Needs.optional() })).default([]),
  /** For tasks that say nothing themselves, from their next claim on. */
  onDisconnect: z.enum(ON_DISCONNECT).optional(),
});
export type QueueRecord = z.infer<typeof QueueRecord>;

/** One incarnation of an agent: the lease it holds. Never re-created once deleted. */
export const SessionRecord = z.object({
  type: z.literal("navvy.session.v1"),
  agent: z.string(),
  session: z.string(),
  startedAt: z.string(),
  host: z.string(),
  pid: z.number().int(),
  /** Lease in milliseconds: how long after its last renewal the session may still be taken for alive. */
  leaseMs: z.number(),
  /** Counts renewals, so that a timed-out one can be recognised as its own. */
  renewals: z.number().int(),
});
export type SessionRecord = z.infer<typeof SessionRecord>;

/** The coordinator's lease: key `leader` in the control bucket. */
export const LeaderRecord = z.object({
  type: z.literal("navvy.leader.v1"),
  agent: z.string(),
  session: z.string(),
  since: z.string(),
  leaseMs: z.number(),
  renewals: z.number().int(),
});
export type LeaderRecord = z.infer<typeof LeaderRecord>;

export const GPU_VENDORS = ["nvidia", "amd"] as const;
export type GpuVendor = (typeof GPU_VENDORS)[number];

/** A GPU, or an instance of one. `index` names it on its machine. */
export const Gpu = z.object({
  index: z.number().int(),
  name: z.string(),
  uuid: z.string().optional(),
  memoryTotalBytes: z.number().optional(),
  memoryUsedBytes: z.number().optional(),
  utilization: z.number().optional(),
  temperatureC: z.number().optional(),
  powerW: z.number().optional(),
  /** Absent: nvidia. */
  vendor: z.enum(GPU_VENDORS).optional(),
  /** Of an instance (MIG): the GPU that it is a part of, its number there, and its profile, `3g.20gb`. */
  mig: z.object({ parent: z.number().int(), device: z.number().int(), profile: z.string() }).optional(),
  /** The task that holds it. */
  heldBy: z.string().optional(),
  /** Why it is given to nobody just now. */
  asideReason: z.string().optional(),
});
export type Gpu = z.infer<typeof Gpu>;

/** An agent's last registration: what it is and what it serves. */
export const AgentRecord = z.object({
  type: z.literal("navvy.agent.v1"),
  name: z.string(),
  session: z.string(),
  host: z.string(),
  pid: z.number().int(),
  version: z.string(),
  protocol: z.number().int(),
  queues: z.array(z.string()),
  order: z.enum(["strict", "fair"]),
  slots: z.number().int(),
  serviceSlots: z.number().int(),
  cpus: z.number().int(),
  memoryBytes: z.number(),
  gpus: z.array(Gpu),
  os: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  /** The container engine that it runs tasks with an image in, with its version; absent: it runs none. */
  engine: z.string().optional(),
  /** Size of the disk under its work folder. */
  diskBytes: z.number().optional(),
  /** Names of the secrets that its tasks may ask for. */
  secrets: z.array(z.string()).optional(),
  /** Its public key (X25519, base64): values that are sealed to it are for it alone. */
  sealingKey: z.string().optional(),
  registeredAt: z.string(),
  /** Set when it left in good order. */
  leftAt: z.string().optional(),
});
export type AgentRecord = z.infer<typeof AgentRecord>;

export const AGENT_STATES = ["idle", "busy", "draining", "disconnected", "stopping"] as const;

/** Public sign of life, every 2 s. For monitoring only: leases decide. Rates are per second. */
export const Beat = z.object({
  type: z.literal("navvy.beat.v1"),
  agent: z.string(),
  session: z.string(),
  at: z.string(),
  state: z.enum(AGENT_STATES),
  reason: z.string().optional(),
  queues: z.array(z.string()),
  slots: z.object({ used: z.number(), total: z.number() }),
  services: z.object({ used: z.number(), total: z.number() }),
  running: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      attempt: z.number().int(),
      queue: z.string(),
      phase: z.string(),
      since: z.string(),
      progress: z.number().optional(),
      service: z.boolean().optional(),
    }),
  ),
  leading: z.boolean(),
  cpu: z.object({ used: z.number(), cores: z.number(), load1: z.number() }),
  memory: z.object({ usedBytes: z.number(), totalBytes: z.number() }),
  disk: z.object({ freeBytes: z.number(), totalBytes: z.number() }),
  network: z.object({ rxBytesPerSec: z.number(), txBytesPerSec: z.number() }),
  gpus: z.array(Gpu),
  /** What running tasks have asked for and hold. */
  reserved: z.object({ cpus: z.number(), memoryBytes: z.number(), diskBytes: z.number() }).optional(),
});
export type Beat = z.infer<typeof Beat>;

/** One change, for audit and triggers. `data` is small and depends on `event`. */
export const FleetEvent = z.object({
  type: z.literal("navvy.event.v1"),
  kind: z.enum(EVENT_KINDS),
  id: z.string(),
  /** `queued`, `running`, `completed`, `created`, `edited`, `abort_requested`, `joined`, `repaired` … */
  event: z.string(),
  at: z.string(),
  by: z.string(),
  reason: z.string(),
  attempt: z.number().int().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});
export type FleetEvent = z.infer<typeof FleetEvent>;

export const LOG_STREAMS = ["out", "err", "navvy"] as const;
export type LogStream = (typeof LOG_STREAMS)[number];

/**
 * A piece of what a task printed, byte-exact; stream `navvy` is what happened before and around it: code, image, set-up, each with
 * its section. `offset` counts bytes of this stream; chunks may arrive twice, never with a gap. One with `omitted` stands for bytes that
 * were left out.
 */
export const LogChunk = z.object({
  type: z.literal("navvy.log.v1"),
  stream: z.enum(LOG_STREAMS),
  offset: z.number().int(),
  at: z.string(),
  /** Of stream `navvy`: which part of the preparations it belongs to. */
  section: z.string().optional(),
  /** So many bytes were left out from `offset` on; `data` is empty. */
  omitted: z.number().int().positive().optional(),
  data: Bytes,
});
export type LogChunk = z.infer<typeof LogChunk>;

/** Points in columns. `key[i]` indexes `keys`; step, value and time (epoch ms) are little-endian float64. */
export const MetricBatch = z.object({
  type: z.literal("navvy.metrics.v1"),
  sequence: z.number().int(),
  keys: z.array(z.string()),
  key: Bytes,
  step: Bytes,
  value: Bytes,
  time: Bytes,
});
export type MetricBatch = z.infer<typeof MetricBatch>;

/** Reply of an agent's control verbs. */
export const ControlReply = z.object({
  type: z.literal("navvy.reply.v1"),
  ok: z.boolean(),
  code: z.string().optional(),
  message: z.string().optional(),
  errorId: z.string().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});
export type ControlReply = z.infer<typeof ControlReply>;

export const ControlRequest = z.object({
  type: z.literal("navvy.request.v1"),
  by: z.string(),
  reason: z.string().optional(),
  task: z.string().optional(),
  attempt: z.number().int().optional(),
  graceMs: z.number().optional(),
  now: z.boolean().optional(),
});
export type ControlRequest = z.infer<typeof ControlRequest>;
