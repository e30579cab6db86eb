import { gunzipSync } from "node:zlib";
import { Unpackr } from "msgpackr";
import { connect, consumerOpts, type JsMsg, type NatsConnection } from "nats";

/** A task's record, as far as the checker judges it: read with the plain client and its own eyes, not with navvy's schemas. */
export interface PlainRecord {
  id: string;
  name: string;
  parent?: string;
  status: string;
  reason: string;
  attempt: number;
  failures: number;
  losses: number;
  queue?: string;
  spec: { retries: { limit: number }; timeLimitMs?: number };
  abort?: unknown;
  outcome?: PlainOutcome;
  attempts: { attempt: number; agent: string; outcome?: PlainOutcome; logBytes?: Record<string, number>; log?: { sha256: string } }[];
  reported: {
    outputs: Record<string, unknown>;
    metrics: Record<string, { count: number }>;
    artifacts: { name: string; sha256: string; sizeBytes: number; attempt: number }[];
  };
}

export interface PlainOutcome {
  kind: string;
  code?: number;
  signal?: string;
  reason?: string;
}

export interface PlainEvent {
  id: string;
  event: string;
  at: string;
  by: string;
  reason: string;
  attempt?: number;
}

export interface LogPiece {
  stream: string;
  offset: number;
  data: Uint8Array;
}

/** Points of one batch, in columns of little-endian float64. */
export interface MetricPiece {
  sequence: number;
  keys: string[];
  /** Little-endian uint16: which of the keys. */
  key: Uint8Array;
  step: Uint8Array;
  value: Uint8Array;
}

/** All that a fleet left on its server. Logs and metrics by `<task>.<attempt>`. */
export interface Left {
  records: Map<string, PlainRecord>;
  events: Map<string, PlainEvent[]>;
  logs: Map<string, LogPiece[]>;
  metrics: Map<string, MetricPiece[]>;
  /** Keys of sessions that are still there. */
  sessions: string[];
  /** Messages that still wait in a queue: subject and content. */
  tickets: { subject: string; id: string; ticket: number }[];
  /** The bytes of an object by its name. */
  object(name: string): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

const unpackr = new Unpackr({ useRecords: false, int64AsType: "number" } as object);

/** Reads everything with the plain NATS client. The server must be up, and nobody may write any more. */
export async function readLeft(url: string): Promise<Left> {
  const nc = await connect({ servers: url });
  // Before the records: a log that is rolled in between is read twice, which is no harm.
  const logs = grouped(await all<LogPiece>(nc, "navvy_log", "navvy.v1.log.>"), attemptOf);
  const records = await all<PlainRecord>(nc, "KV_navvy_tasks", "$KV.navvy_tasks.>");
  for (const { value } of records)
    for (const { attempt, log } of value.attempts) {
      const content = log && (await objectOf(nc, log.sha256));
      const key = `${value.id}.${attempt}`;
      if (content) logs.set(key, [...(logs.get(key) ?? []), ...framesOf(content)]);
    }
  const events = await all<PlainEvent>(nc, "navvy_event", "navvy.v1.event.task.>");
  const metrics = await all<MetricPiece>(nc, "navvy_metric", "navvy.v1.metric.>");
  const sessions = await all<{ agent: string }>(nc, "KV_navvy_sessions", "$KV.navvy_sessions.>");
  const tickets = await all<{ id: string; ticket: number }>(nc, "navvy_queue", "navvy.v1.queue.>");
  return {
    records: new Map(records.map(({ value }) => [value.id, value])),
    events: grouped(events, (subject) => subject.split(".").at(-1) ?? ""),
    logs,
    metrics: grouped(metrics, attemptOf),
    sessions: sessions.map(({ subject }) => subject),
    tickets: tickets.map(({ subject, value }) => ({ subject, ...value })),
    object: (name) => objectOf(nc, name),
    close: () => nc.close(),
  };
}

interface Read<T> {
  subject: string;
  value: T;
}

const attemptOf = (subject: string) => subject.split(".").slice(-2).join(".");

function grouped<T>(all: Read<T>[], keyOf: (subject: string) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const { subject, value } of all) {
    const key = keyOf(subject);
    const group = groups.get(key);
    if (group) group.push(value);
    else groups.set(key, [value]);
  }
  return groups;
}

/** Every message of a stream that is there now; deletions of key-value buckets are left out. */
async function all<T>(nc: NatsConnection, stream: string, subject: string): Promise<Read<T>[]> {
  const jsm = await nc.jetstreamManager();
  const info = await jsm.streams.info(stream, { subjects_filter: subject });
  if (Object.keys(info.state.subjects ?? {}).length === 0) return [];
  if (info.config.retention === "workqueue") return direct(nc, stream, info.state);
  const options = consumerOpts();
  options.orderedConsumer();
  options.deliverAll();
  options.bindStream(stream);
  const subscription = await nc.jetstream().subscribe(subject, options);
  const read: Read<T>[] = [];
  for await (const message of subscription) {
    if (!isDeletion(message)) read.push({ subject: message.subject, value: unpackr.unpack(message.data) as T });
    if (message.info.pending === 0) break;
  }
  subscription.unsubscribe();
  return read;
}

/** A work queue takes no second reader, so its messages are got one by one. */
async function direct<T>(nc: NatsConnection, stream: string, state: { first_seq: number; last_seq: number }): Promise<Read<T>[]> {
  const jsm = await nc.jetstreamManager();
  const read: Read<T>[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    const message = await jsm.streams.getMessage(stream, { seq }).catch(() => undefined);
    if (message) read.push({ subject: message.subject, value: unpackr.unpack(message.data) as T });
  }
  return read;
}

function isDeletion(message: JsMsg): boolean {
  return message.headers?.get("KV-Operation") !== undefined && message.headers.get("KV-Operation") !== "";
}

/** The chunks of a rolled log: after the first frame, which says whose it is. */
function framesOf(content: Uint8Array): LogPiece[] {
  const frames = gunzipSync(content);
  const pieces: LogPiece[] = [];
  for (let at = 0; at < frames.length; ) {
    const end = at + 4 + frames.readUInt32BE(at);
    if (at > 0) pieces.push(unpackr.unpack(frames.subarray(at + 4, end)) as LogPiece);
    at = end;
  }
  return pieces;
}

async function objectOf(nc: NatsConnection, name: string): Promise<Uint8Array | undefined> {
  const store = await nc.jetstream().views.os("navvy_objects");
  return (await store.getBlob(name)) ?? undefined;
}
