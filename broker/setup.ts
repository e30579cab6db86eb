import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig } from "nats";
import { type BucketSpec, NavvyError, type StreamSpec } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { isOff, JS_ERROR, jetStreamCode, translateFirst } from "./nats-error.js";
import { PATIENCE_MS, persist } from "./persist.js";

const NANOS_PER_MS = 1_000_000;

export interface SetUpOptions {
  /** Copies of every stream, on a cluster. Default 1. */
  replicas?: number | undefined;
  /** Wait for a server that does not answer for as long as it takes; default 10 s. */
  wait?: boolean | undefined;
}

/** The connection, and how long an outage on it is waited out. */
interface SetUp {
  bus: Bus;
  patienceMs: number;
}

/**
 * Makes the fleet's streams and buckets where they are missing. Idempotent, safe from several places at once; what is
 * there already is left as it is (an operator may have changed limits).
 * @throws NavvyError jetstream_unavailable, permission_denied, timeout, invalid_argument (replicas that the servers can not hold)
 */
export async function setUp(bus: Bus, options: SetUpOptions = {}): Promise<void> {
  const { streams, buckets, objects } = bus.assets;
  const parts = { bus, patienceMs: options.wait ? Number.POSITIVE_INFINITY : PATIENCE_MS };
  const configs = [...Object.values(streams).map(streamConfig), ...Object.values(buckets).map(bucketConfig), objectsConfig(objects.name)];
  await Promise.all(configs.map((config) => ensureStream(parts, { ...config, num_replicas: options.replicas ?? 1 })));
}

async function ensureStream(parts: SetUp, config: Partial<StreamConfig> & { name: string }): Promise<void> {
  const { bus } = parts;
  try {
    await ask(parts, () => bus.jsm.streams.info(config.name));
    return;
  } catch (error) {
    if (jetStreamCode(error) !== JS_ERROR.streamNotFound) throw translateFirst(error, `look up stream ${config.name}`, bus.source);
  }
  await addStream(parts, config);
}

/** A single server without JetStream says so at once; in a cluster the same is said while a leader is elected. */
async function ask<T>({ bus, patienceMs }: SetUp, request: () => Promise<T>): Promise<T> {
  const isClustered = bus.nc.info?.cluster !== undefined;
  let off: unknown;
  const answered = await persist(
    bus,
    () =>
      request().catch((error: unknown) => {
        if (!isOff(error) || isClustered) throw error;
        off = error;
      }),
    patienceMs,
  );
  if (off !== undefined) throw off;
  return answered as T;
}

const SHRINK = 4;
const LEAST_BYTES = 1024 * 1024;

/**
 * A stream's limit is reserved when it is made, so a small store may have no room for what a large one keeps: then it is
 * made smaller until it fits.
 */
async function addStream(parts: SetUp, config: Partial<StreamConfig> & { name: string }): Promise<void> {
  const { bus } = parts;
  const maxBytes = config.max_bytes ?? -1;
  try {
    await ask(parts, () => bus.jsm.streams.add(config));
  } catch (error) {
    if (TOO_FEW_SERVERS.has(jetStreamCode(error))) throw tooFewServers(bus, config, error);
    const isTooLarge = NO_ROOM.has(jetStreamCode(error)) && maxBytes / SHRINK >= LEAST_BYTES;
    if (!isTooLarge) throw translateFirst(error, `create stream ${config.name}`, bus.source);
    await addStream(parts, { ...config, max_bytes: Math.floor(maxBytes / SHRINK) });
  }
}

const NO_ROOM = new Set<number | undefined>([JS_ERROR.storageExceeded, JS_ERROR.insufficientResources]);

const TOO_FEW_SERVERS = new Set<number | undefined>([JS_ERROR.noSuitablePeers, JS_ERROR.replicasNotSupported]);

function tooFewServers(bus: Bus, config: Partial<StreamConfig>, cause: unknown): NavvyError {
  return new NavvyError("invalid_argument", `${bus.source} can not hold ${config.num_replicas} copies of stream ${config.name}`, {
    cause,
    why: (cause as Error).message,
    fix: "ask for one copy, or start as many clustered servers as copies, all of them up",
  });
}

function streamConfig(spec: StreamSpec) {
  return {
    name: spec.name,
    subjects: spec.subjects,
    retention: spec.retention === "workqueue" ? RetentionPolicy.Workqueue : RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: spec.retention === "workqueue" ? DiscardPolicy.New : DiscardPolicy.Old,
    max_bytes: spec.maxBytes,
    max_age: spec.maxAgeMs * NANOS_PER_MS,
    max_msg_size: spec.maxMsgSize,
    duplicate_window: spec.duplicateWindowMs * NANOS_PER_MS,
    allow_direct: true,
  };
}

/** The layout of a key-value bucket on the wire (NATS architecture decision record 8). */
function bucketConfig(spec: BucketSpec) {
  return {
    name: `KV_${spec.name}`,
    subjects: [`$KV.${spec.name}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: spec.history,
    max_msg_size: spec.maxValueSize,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
  };
}

/** The layout of an object bucket on the wire (NATS architecture decision record 20). */
function objectsConfig(name: string) {
  return {
    name: `OBJ_${name}`,
    subjects: [`$O.${name}.C.>`, `$O.${name}.M.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    allow_rollup_hdrs: true,
    allow_direct: true,
  };
}
