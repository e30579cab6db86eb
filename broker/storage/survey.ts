import type { KeepLimit, KeptKind, Retention, TaskRecord } from "../../protocol/index.js";
import type { Bus } from "../bus.js";
import { persist } from "../persist.js";
import type { StoredObject } from "./inventory.js";
import type { Holding } from "./plan.js";

/** One stream, bucket or object store of the fleet. Limits: absent where there is none. */
export interface StoreUse {
  name: string;
  kind: "stream" | "bucket" | "objects";
  messages: number;
  bytes: number;
  maxBytes?: number;
  maxAgeMs?: number;
}

export const OBJECT_KINDS = ["artifacts", "logs", "code", "diffs", "inputs", "other", "unreferenced"] as const;
export type ObjectKind = (typeof OBJECT_KINDS)[number];

export interface ObjectUse {
  kind: ObjectKind;
  count: number;
  bytes: number;
}

/** What the tasks of the fleet, of one project or queue hold, and the rules of that place. */
export interface PlaceUse {
  place: "fleet" | "project" | "queue";
  /** Empty for the fleet. */
  name: string;
  tasks: number;
  logs: number;
  metrics: number;
  artifacts: number;
  keep: Partial<Record<KeptKind, KeepLimit>>;
}

/** How full each stream and bucket is. */
export async function storeUse({ bus }: { bus: Bus }): Promise<StoreUse[]> {
  const { streams, buckets, objects } = bus.assets;
  const names: [string, StoreUse["kind"], string][] = [
    ...Object.values(streams).map(({ name }): [string, StoreUse["kind"], string] => [name, "stream", name]),
    ...Object.values(buckets).map(({ name }): [string, StoreUse["kind"], string] => [name, "bucket", `KV_${name}`]),
    [objects.name, "objects", `OBJ_${objects.name}`],
  ];
  return Promise.all(
    names.map(async ([name, kind, stream]) => {
      const { state, config } = await persist(bus, () => bus.jsm.streams.info(stream));
      const { max_bytes, max_age } = config;
      const limits = { ...(max_bytes > 0 ? { maxBytes: max_bytes } : {}), ...(max_age > 0 ? { maxAgeMs: max_age / 1e6 } : {}) };
      return { name, kind, messages: state.messages, bytes: state.bytes, ...limits };
    }),
  );
}

/** Every object once, by what it is first of all: content that is an artifact of one task and the input of another is an artifact. */
export function objectUse(objects: StoredObject[], records: TaskRecord[], isReferred: (sha256: string) => boolean): ObjectUse[] {
  const kinds = new Map<string, ObjectKind>();
  const name = (sha256: string | undefined, kind: ObjectKind) => {
    const known = sha256 === undefined ? undefined : kinds.get(sha256);
    if (sha256 !== undefined && (known === undefined || OBJECT_KINDS.indexOf(kind) < OBJECT_KINDS.indexOf(known))) kinds.set(sha256, kind);
  };
  for (const { reported, attempts, spec } of records) {
    for (const { sha256 } of reported.artifacts) name(sha256, "artifacts");
    for (const { log } of attempts) name(log?.sha256, "logs");
    name(spec.code?.bundle, "code");
    name(spec.git?.diff?.sha256, "diffs");
    for (const { sha256 } of Object.values(spec.inputs)) name(sha256, "inputs");
  }
  const uses = new Map(OBJECT_KINDS.map((kind) => [kind, { kind, count: 0, bytes: 0 }]));
  for (const object of objects) {
    if (object.isDeleted) continue;
    const use = uses.get(kinds.get(object.name) ?? (isReferred(object.name) ? "other" : "unreferenced"));
    if (!use) continue;
    use.count++;
    use.bytes += object.sizeBytes;
  }
  return [...uses.values()];
}

/** What each project and each queue holds; a place with a rule is named also when it holds nothing. */
export function placeUse(holdings: Holding[], retention: Retention): PlaceUse[] {
  const places = new Map<string, { use: PlaceUse; seen: Set<string> }>();
  const at = (place: PlaceUse["place"], name: string) => {
    const key = `${place} ${name}`;
    const known = places.get(key);
    if (known) return known;
    const keep = place === "fleet" ? retention.default : ((place === "project" ? retention.projects : retention.queues)[name] ?? {});
    const made = { use: { place, name, tasks: 0, logs: 0, metrics: 0, artifacts: 0, keep }, seen: new Set<string>() };
    places.set(key, made);
    return made;
  };
  at("fleet", "");
  for (const name of Object.keys(retention.projects)) at("project", name);
  for (const name of Object.keys(retention.queues)) at("queue", name);
  for (const holding of holdings) {
    const ofQueue = holding.queue === undefined ? [] : [at("queue", holding.queue)];
    for (const { use, seen } of [at("fleet", ""), at("project", holding.project), ...ofQueue]) {
      use.tasks++;
      addPieces(use, seen, holding);
    }
  }
  return [...places.values()].map(({ use }) => use).sort((a, b) => a.place.localeCompare(b.place) || a.name.localeCompare(b.name));
}

/** What another task of the place holds already counts no second time. */
function addPieces(use: PlaceUse, seen: Set<string>, { pieces }: Holding): void {
  for (const kind of ["logs", "metrics", "artifacts"] as const)
    for (const [piece, bytes] of pieces[kind]) {
      if (!seen.has(`${kind} ${piece}`)) use[kind] += bytes;
      seen.add(`${kind} ${piece}`);
    }
}
