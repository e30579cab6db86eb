import { Subjects } from "./subjects.js";

/**
 * The streams and buckets of one fleet, as data. `broker/` makes them; sizes in bytes, times in milliseconds.
 *
 * A key-value bucket is a stream `KV_<bucket>` over `$KV.<bucket>.>`, an object bucket a stream `OBJ_<bucket>` over
 * `$O.<bucket>.C.>` (chunks) and `$O.<bucket>.M.>` (meta): the layout that the NATS command line reads.
 */
export interface StreamSpec {
  name: string;
  subjects: string[];
  retention: "limits" | "workqueue";
  /** -1: no limit. */
  maxBytes: number;
  /** 0: kept for ever. */
  maxAgeMs: number;
  maxMsgSize: number;
  duplicateWindowMs: number;
}
export interface BucketSpec {
  name: string;
  history: number;
  maxValueSize: number;
}

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Largest task record; larger parts are kept by reference. */
export const MAX_RECORD_BYTES = 64 * 1024;

export class Assets {
  readonly subjects: Subjects;
  readonly streams: Record<"queue" | "event" | "log" | "metric" | "beat", StreamSpec>;
  readonly buckets: Record<
    "tasks" | "sessions" | "control" | "queues" | "agents" | "journal" | "cache" | "schedules" | "triggers",
    BucketSpec
  >;
  readonly objects: { name: string };

  constructor(namespace?: string) {
    const subjects = new Subjects(namespace);
    const ns = subjects.namespace;
    const of = (noun: string) => `${subjects.root}.${noun}.>`;
    const limits = (name: string, subject: string, keep: Pick<StreamSpec, "maxBytes" | "maxAgeMs" | "maxMsgSize">): StreamSpec => ({
      name: `${ns}_${name}`,
      subjects: [subject],
      retention: "limits",
      ...keep,
      duplicateWindowMs: 120_000,
    });
    const bucket = (name: string, maxValueSize = MAX_RECORD_BYTES): BucketSpec => ({ name: `${ns}_${name}`, history: 1, maxValueSize });

    this.subjects = subjects;
    this.streams = {
      queue: { ...limits("queue", of("queue"), { maxBytes: -1, maxAgeMs: 0, maxMsgSize: MAX_RECORD_BYTES }), retention: "workqueue" },
      event: limits("event", of("event"), { maxBytes: GIB, maxAgeMs: 30 * DAY_MS, maxMsgSize: MAX_RECORD_BYTES }),
      log: limits("log", of("log"), { maxBytes: 8 * GIB, maxAgeMs: 14 * DAY_MS, maxMsgSize: MIB }),
      metric: limits("metric", of("metric"), { maxBytes: 4 * GIB, maxAgeMs: 30 * DAY_MS, maxMsgSize: MIB }),
      beat: limits("beat", `${subjects.root}.beats.>`, { maxBytes: 256 * MIB, maxAgeMs: 7 * DAY_MS, maxMsgSize: MAX_RECORD_BYTES }),
    };
    this.buckets = {
      tasks: bucket("tasks"),
      sessions: bucket("sessions"),
      control: bucket("control"),
      queues: bucket("queues"),
      agents: bucket("agents"),
      journal: bucket("journal", 512 * 1024),
      cache: bucket("cache"),
      schedules: bucket("schedules"),
      triggers: bucket("triggers"),
    };
    this.objects = { name: `${ns}_objects` };
  }
}
