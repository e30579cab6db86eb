import { z } from "zod";
import { CacheEntry, JournalEntry } from "./journal.js";
import { MediaItem } from "./media.js";
import {
  AgentRecord,
  Beat,
  ControlReply,
  ControlRequest,
  FleetEvent,
  LeaderRecord,
  LogChunk,
  MetricBatch,
  QueueRecord,
  SessionRecord,
  Ticket,
} from "./messages.js";
import { GcRecord, Retention } from "./retention.js";
import { RolledLogHead } from "./rolled-log.js";
import { Schedule, ScheduleState } from "./schedule.js";
import { SealedSecret } from "./secrets.js";
import { TaskRecord } from "./task-record.js";
import { Trigger, TriggerState } from "./trigger.js";

const MESSAGES = [
  TaskRecord,
  Ticket,
  QueueRecord,
  SessionRecord,
  LeaderRecord,
  AgentRecord,
  Beat,
  FleetEvent,
  LogChunk,
  MetricBatch,
  RolledLogHead,
  Retention,
  GcRecord,
  MediaItem,
  ControlRequest,
  ControlReply,
  SealedSecret,
  Schedule,
  ScheduleState,
  Trigger,
  TriggerState,
  JournalEntry,
  CacheEntry,
];

/**
 * The JSON Schema (draft 2020-12) of every message, by its `type`, for clients in other languages: what a reader accepts,
 * so a field with a default need not be there.
 *
 * JSON has no word for two things: bytes are `{ format: "binary" }` without a JSON type (on the wire they are
 * MessagePack's bin), and the numbers of a metric's figures may be NaN or infinite.
 */
export function jsonSchemas(): Record<string, object> {
  return Object.fromEntries(MESSAGES.map((schema) => [schema.shape.type.value, jsonSchemaOf(schema)]));
}

function jsonSchemaOf(schema: z.ZodType): object {
  return z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema._zod.def.type === "custom") Object.assign(jsonSchema, describeCustom(zodSchema));
    },
  });
}

/** Our own kinds of value are known by what they accept. */
function describeCustom(schema: z.core.$ZodType): object {
  if (z.safeParse(schema, new Uint8Array()).success) return { format: "binary" };
  return z.safeParse(schema, Number.NaN).success ? { type: "number" } : {};
}
