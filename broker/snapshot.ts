import type { z } from "zod";
import { isNavvyError } from "../protocol/index.js";
import type { Bucket, Entry } from "./bucket.js";
import type { Bus } from "./bus.js";
import { Watch } from "./watch.js";

/**
 * All current entries of a bucket by one watch (100,000 records in about a second). The client's `keys()` loses entries
 * when its loop awaits. Entries of a newer navvy or that can not be read are left out and given to `onUnreadable`.
 */
export async function snapshot<S extends z.ZodType>(
  bus: Bus,
  bucket: Bucket<S>,
  options: { keys?: string; onUnreadable?: (key: string, error: unknown) => void } = {},
): Promise<Entry<z.infer<S>>[]> {
  const entries = new Map<string, Entry<z.infer<S>>>();
  let ready = () => {};
  const isReady = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const watch = await Watch.open(bus, bucket as unknown as Bucket<never>, {
    keys: options.keys ?? ">",
    onReady: ready,
    onEntry: (entry) => {
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
  return [...entries.values()];
}
