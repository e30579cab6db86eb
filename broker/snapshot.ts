import type { KvEntry } from "nats";
import type { z } from "zod";
import { isNavvyError } from "../protocol/index.js";
import type { Bucket, Entry } from "./bucket.js";
import type { Bus } from "./bus.js";
import { translate } from "./nats-error.js";
import { persist } from "./persist.js";
import { Watch } from "./watch.js";

/** So few are read one by one. A watch makes a consumer, which in a cluster all servers have to agree on: too much for every few seconds. */
const FEW_KEYS = 64;

/** Beyond this many keys a second listing is not worth what it costs: who needs a single key for sure reads that key. */
const CHECKED_KEYS = 5_000;

interface SnapshotOptions {
  keys?: string;
  mayMiss?: boolean;
  onUnreadable?: (key: string, error: unknown) => void;
}

/**
 * All current entries of a bucket: few of them key by key, more by one watch (100,000 records in about a second). The client's `keys()`
 * loses entries when its loop awaits. Entries of a newer navvy or that can not be read are left out and given to `onUnreadable`.
 *
 * A watch misses a key that is written while the list is on its way: the server skips the message that the write replaced, and
 * gives its successor only after "that was all". So the keys are listed once more, and those that are missing read one by one;
 * `mayMiss` saves that for who reads a key anyway before it acts on its absence.
 */
export async function snapshot<S extends z.ZodType>(
  bus: Bus,
  bucket: Bucket<S>,
  options: SnapshotOptions = {},
): Promise<Entry<z.infer<S>>[]> {
  return (await fewEntries(bus, bucket, options)) ?? watched(bus, bucket, options);
}

async function watched<S extends z.ZodType>(bus: Bus, bucket: Bucket<S>, options: SnapshotOptions): Promise<Entry<z.infer<S>>[]> {
  const entries = new Map<string, Entry<z.infer<S>>>();
  const seen = new Set<string>();
  let ready = () => {};
  const isReady = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const watch = await Watch.open(bus, bucket as unknown as Bucket<never>, {
    keys: options.keys ?? ">",
    onReady: ready,
    onEntry: (entry) => {
      seen.add(entry.key);
      entries.delete(entry.key);
      const read = decoded(bucket, entry, options);
      if (read) entries.set(entry.key, read);
    },
  });
  await isReady;
  watch.close();
  if (!options.mayMiss && seen.size <= CHECKED_KEYS) {
    for (const key of await keysOf(bus, bucket, options.keys)) {
      if (seen.has(key)) continue;
      const entry = await bucket.get(key);
      if (entry) entries.set(key, entry);
    }
  }
  return [...entries.values()];
}

/** Undefined where there are more than a few, or where a copy that was asked has not yet heard of one. */
async function fewEntries<S extends z.ZodType>(
  bus: Bus,
  bucket: Bucket<S>,
  options: SnapshotOptions,
): Promise<Entry<z.infer<S>>[] | undefined> {
  const { state } = await bucket.ask("count keys", () => bus.jsm.streams.info(`KV_${bucket.name}`));
  if (state.messages > FEW_KEYS) return undefined;
  const keys = await keysOf(bus, bucket, options.keys);
  const found = await Promise.all(keys.map((key) => bucket.ask(`read ${key}`, async () => (await bucket.handle()).get(key))));
  const all = found.filter((entry) => entry !== null);
  return all.length === keys.length ? all.flatMap((entry) => decoded(bucket, entry, options) ?? []) : undefined;
}

function decoded<S extends z.ZodType>(bucket: Bucket<S>, entry: KvEntry, { onUnreadable }: SnapshotOptions): Entry<z.infer<S>> | undefined {
  try {
    return bucket.read(entry);
  } catch (error) {
    if (!isNavvyError(error)) throw error;
    onUnreadable?.(entry.key, error);
    return undefined;
  }
}

/** Also of what was deleted: its marker is a message too. */
async function keysOf<S extends z.ZodType>(bus: Bus, bucket: Bucket<S>, keys = ">"): Promise<string[]> {
  const prefix = `$KV.${bucket.name}.`;
  try {
    const info = await persist(bus, () => bus.jsm.streams.info(`KV_${bucket.name}`, { subjects_filter: `${prefix}${keys}` }));
    return Object.keys(info.state.subjects ?? {}).map((subject) => subject.slice(prefix.length));
  } catch (error) {
    throw translate(error, `list the keys of ${bucket.name}`, bus.source);
  }
}
