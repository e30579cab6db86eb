import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig } from "nats";
import type { Assets, BucketSpec, StreamSpec } from "../protocol/index.js";

export type NamedStream = Partial<StreamConfig> & { name: string };

const NANOS_PER_MS = 1_000_000;

/** Every stream of the fleet, buckets too, as the server's API takes it. */
export function streamConfigs({ streams, buckets, objects }: Assets): NamedStream[] {
  return [...Object.values(streams).map(streamConfig), ...Object.values(buckets).map(bucketConfig), objectsConfig(objects.name)];
}

export function isObjects({ name }: NamedStream): boolean {
  return name.startsWith("OBJ_");
}

/** A stream that nobody writes to: it is made to see whether its size fits. */
export function probeConfig({ subjects }: Assets): NamedStream {
  return { name: `${subjects.namespace}_probe`, subjects: [`${subjects.root}.probe`], storage: StorageType.File };
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
