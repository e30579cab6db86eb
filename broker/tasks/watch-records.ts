import type { z } from "zod";
import type { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";
import { Watch } from "../watch.js";

export interface WatchHandlers<T> {
  onTask: (task: T, revision: number) => void;
  onGone?: (id: string) => void;
  onReady?: () => void;
  /** A record of a newer navvy, or that can not be read. */
  onUnreadable?: (id: string, error: unknown) => void;
}

/** Calls back with every version of the records that fit, current ones first. */
export function watchRecords<S extends z.ZodType>(
  bus: Bus,
  bucket: Bucket<S>,
  options: { keys: string } & WatchHandlers<z.infer<S>>,
): Promise<Watch> {
  return Watch.open(bus, bucket as unknown as Bucket<never>, {
    keys: options.keys,
    onReady: options.onReady ?? (() => {}),
    onEntry: (raw) => {
      try {
        const entry = bucket.read(raw);
        if (entry) options.onTask(entry.value, entry.revision);
        else options.onGone?.(raw.key);
      } catch (error) {
        options.onUnreadable?.(raw.key, error);
      }
    },
  });
}
