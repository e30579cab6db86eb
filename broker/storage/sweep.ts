import { setTimeout as delay } from "node:timers/promises";
import type { KvEntry } from "nats";
import { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";
import { discard } from "../logs/discard.js";
import { isUnanswered, translate } from "../nats-error.js";
import { Layout } from "../objects/layout.js";
import type { Objects } from "../objects.js";
import { persist } from "../persist.js";
import { countSubjects } from "../subject-counts.js";
import { Watch } from "../watch.js";
import { type Inventory, lastTime, type StoredObject, takeInventory, type Unfinished } from "./inventory.js";
import { type Marker, Marks } from "./marks.js";

export interface SweepParts {
  bus: Bus;
  objects: Objects;
}

export interface SweepOptions {
  /** Younger ones are left: an upload comes before the record that refers to it. */
  graceMs: number;
  /**
   * How long what looks like garbage is watched before it goes. Who reads a record and writes another that refers to the same (a
   * clone) has done so by then, or given up.
   */
  settleMs: number;
  /** By the server's clock. */
  now: number;
  signal?: AbortSignal | undefined;
}

/** What nothing refers to. */
export interface Garbage {
  objects: StoredObject[];
  /** Chunks of uploads that were killed. */
  unfinished: Unfinished[];
  /** Logs and metrics of tasks that are gone: subjects of a stream. */
  leftovers: { stream: string; subject: string; messages: number }[];
  /** What deletions left behind in the buckets. */
  markers: (Marker & { bucket: string })[];
  /** Nothing refers to them either, but they are younger than the grace. */
  young: StoredObject[];
}

/** What somebody else put into the bucket is not ours to judge. */
const OURS = /^[0-9a-f]{64}(?:\.chunks|\.known)?$/;

const CATCH_UP_EVERY = 50;

/** Finds garbage; with `act` the marks stay open for it. */
export async function findGarbage<T>(
  parts: SweepParts,
  options: SweepOptions,
  act: (garbage: Garbage, marks: Marks) => Promise<T>,
): Promise<T> {
  // Objects first, records second: an object that is stored in between is in no list, and a record of that time is seen.
  const inventory = await takeInventory(parts.bus);
  const marks = await Marks.open(parts.bus, parts);
  try {
    return await act(await sort(parts, { inventory, marks }, options), marks);
  } finally {
    marks.close();
  }
}

async function sort(
  { bus }: SweepParts,
  { inventory, marks }: { inventory: Inventory; marks: Marks },
  { graceMs, now }: SweepOptions,
): Promise<Garbage> {
  const isOld = ({ at }: { at: Date }) => now - at.getTime() > graceMs;
  const loose = inventory.objects.filter(({ isDeleted, name }) => !isDeleted && OURS.test(name) && !marks.has(name));
  const tombstones = inventory.objects.filter((object) => object.isDeleted && isOld(object));
  return {
    objects: loose.filter(isOld),
    young: loose.filter((object) => !isOld(object)),
    unfinished: inventory.unfinished.filter(isOld),
    leftovers: await leftovers(bus, marks, isOld),
    markers: [
      ...marks.markers.filter(isOld).map((marker) => ({ ...marker, bucket: bus.assets.buckets.tasks.name })),
      ...(await otherMarkers(bus)).filter(isOld),
      ...tombstones.map(({ name, revision, at }) => ({ key: name, revision, at, bucket: bus.assets.objects.name })),
    ],
  };
}

/** What deletions left in the buckets whose keys come and go. */
async function otherMarkers(bus: Bus): Promise<Garbage["markers"]> {
  const { sessions, agents, queues, journal, schedules, triggers } = bus.assets.buckets;
  const found: Garbage["markers"] = [];
  for (const { name: bucket } of [sessions, agents, queues, journal, schedules, triggers]) {
    let ready = () => {};
    const isReady = new Promise<void>((resolve) => (ready = resolve));
    const onEntry = ({ operation, key, revision, created }: KvEntry) =>
      operation === "PUT" ? undefined : void found.push({ bucket, key, revision, at: created });
    const watch = await Watch.open(bus, new Bucket(bus, bucket, undefined as never) as Bucket<never>, {
      keys: ">",
      onEntry,
      onReady: ready,
    });
    await isReady;
    watch.close();
  }
  return found;
}

/** What stands on the streams of tasks that have no record. */
async function leftovers(bus: Bus, marks: Marks, isOld: (of: { at: Date }) => boolean): Promise<Garbage["leftovers"]> {
  const found: Garbage["leftovers"] = [];
  for (const [noun, stream] of [
    ["log", bus.assets.streams.log.name],
    ["metric", bus.assets.streams.metric.name],
  ] as const) {
    for (const { subject, messages } of await countSubjects(bus, stream, `${bus.subjects.root}.${noun}.>`)) {
      const id = bus.subjects.parse(subject)?.[1];
      if (id === undefined || marks.hasTask(id)) continue;
      const at = await lastTime(bus, stream, subject);
      if (at && isOld({ at })) found.push({ stream, subject, messages });
    }
  }
  return found;
}

/** Takes garbage away; what somebody began to refer to, or stored again, since it was found stays. @returns what went */
export async function takeAway(parts: SweepParts, found: { garbage: Garbage; marks: Marks }, options: SweepOptions): Promise<Garbage> {
  const { garbage, marks } = found;
  const { bus } = parts;
  const { signal } = options;
  const layout = new Layout(bus.assets.objects.name);
  const gone: Garbage = { objects: [], unfinished: [], leftovers: [], markers: [], young: garbage.young };
  if (garbage.objects.length > 0) await delay(options.settleMs, undefined, { signal });
  for (const [i, object] of garbage.objects.entries()) {
    signal?.throwIfAborted();
    if (i % CATCH_UP_EVERY === 0) await marks.catchUp();
    if (!marks.has(object.name) && (await parts.objects.delete(object.name, object.revision))) gone.objects.push(object);
  }
  for (const upload of garbage.unfinished) {
    signal?.throwIfAborted();
    await discard(bus, { stream: layout.stream, subject: layout.chunks(upload.nuid) });
    gone.unfinished.push(upload);
  }
  await marks.catchUp();
  for (const leftover of garbage.leftovers) {
    signal?.throwIfAborted();
    if (marks.hasTask(bus.subjects.parse(leftover.subject)?.[1] ?? "")) continue;
    await discard(bus, leftover);
    gone.leftovers.push(leftover);
  }
  for (const marker of garbage.markers) {
    signal?.throwIfAborted();
    await dropMarker(bus, marker);
    gone.markers.push(marker);
  }
  return gone;
}

/** Up to its own sequence: a key that was written again since keeps its value. */
async function dropMarker(bus: Bus, { bucket, key, revision }: Garbage["markers"][number]): Promise<void> {
  try {
    if (bucket === bus.assets.objects.name) {
      const stream = new Layout(bucket).stream;
      await persist(bus, () => bus.jsm.streams.deleteMessage(stream, revision, false)).catch((error: unknown) => {
        if (isUnanswered(error)) throw error; // any other refusal: it is gone already
      });
    } else await persist(bus, () => bus.jsm.streams.purge(`KV_${bucket}`, { filter: `$KV.${bucket}.${key}`, seq: revision + 1 }));
  } catch (error) {
    throw translate(error, `delete what is left of ${bucket}/${key}`, bus.source);
  }
}
