import type { z } from "zod";
import { isNavvyError } from "../protocol/index.js";
import type { Bucket, Entry } from "./bucket.js";
import type { Bus } from "./bus.js";
import { translate } from "./nats-error.js";
import { persist } from "./persist.js";
import { Watch } from "./watch.js";

/** Beyond this many keys a second listing is not worth what it costs: who needs a single key for sure reads that key. */
const CHECKED_KEYS = 5_000;

/**
 * All current entries of a bucket by one watch (100,000 records in about a second). The client's `keys()` loses entries
 * when its loop awaits. Entries of a newer navvy or that can not be read are left out and given to `onUnreadable`.
 *
 * A watch misses a key that is written while the list is on its way: the server skips the message that the write replaced, and
 * gives its successor only after "that was all". So the keys are listed once more, and those that are missing read one by one;
 * `mayMiss` saves that for who reads a key anyway before it acts on its absence.
 */
export async function snapshot<S extends z.ZodType>(
  bus: Bus,
  bucket: Bucket<S>,
  options: { keys?: string; mayMiss?: boolean; onUnreadable?: (key: string, error: unknown) => void } = {},
): Promise<Entry<z.infer<S>>[]> {
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
      try {
        const read = bucket.read(entry);
        if (read) entries.set(entry.key, read);
      } catch (error) {
        if (!isNavvyError(error)) throw error;
        options.onUnreadable?.(entry.key, error);
      }
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
