import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig } from "nats";
import type { BucketSpec, StreamSpec } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { JS_ERROR, jetStreamCode, translate } from "./nats-error.js";

const NANOS_PER_MS = 1_000_000;

/**
 * Makes the fleet's streams and buckets where they are missing. Idempotent, safe from several places at once; what is
 * there already is left as it is (an operator may have changed limits).
 * @throws NavvyError jetstream_unavailable, permission_denied, timeout
 */
export async function setUp(bus: Bus, options: { replicas?: number } = {}): Promise<void> {
  const replicas = options.replicas ?? 1;
  const { streams, buckets, objects } = bus.assets;
  const configs = [...Object.values(streams).map(streamConfig), ...Object.values(buckets).map(bucketConfig), objectsConfig(objects.name)];
  await Promise.all(configs.map((config) => ensureStream(bus, { ...config, num_replicas: replicas })));
}

async function ensureStream(bus: Bus, config: Partial<StreamConfig> & { name: string }): Promise<void> {
  try {
    await bus.jsm.streams.info(config.name);
    return;
  } catch (error) {
    if (jetStreamCode(error) !== JS_ERROR.streamNotFound) throw translate(error, `look up stream ${config.name}`, bus.source);
  }
  await addStream(bus, config);
}

const SHRINK = 4;
const LEAST_BYTES = 1024 * 1024;

/**
 * A stream's limit is reserved when it is made, so a small store may have no room for what a large one keeps: then it is
 * made smaller until it fits.
 */
async function addStream(bus: Bus, config: Partial<StreamConfig> & { name: string }): Promise<void> {
  const maxBytes = config.max_bytes ?? -1;
  try {
    await bus.jsm.streams.add(config);
  } catch (error) {
    const isTooLarge = NO_ROOM.has(jetStreamCode(error)) && maxBytes / SHRINK >= LEAST_BYTES;
    if (!isTooLarge) throw translate(error, `create stream ${config.name}`, bus.source);
    await addStream(bus, { ...config, max_bytes: Math.floor(maxBytes / SHRINK) });
  }
}

const NO_ROOM = new Set<number | undefined>([JS_ERROR.storageExceeded, JS_ERROR.insufficientResources]);

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
