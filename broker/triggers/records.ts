import { decode, TaskRecord, type TriggerHead } from "../../protocol/index.js";
import type { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";
import { Watch } from "../watch.js";

/** What triggers ask first of every record; the rest of it is looked at only when that fits. */
const Head = TaskRecord.pick({
  type: true,
  id: true,
  name: true,
  project: true,
  taskType: true,
  tags: true,
  status: true,
  queue: true,
  attempt: true,
});

/** One version of a record. */
export interface SeenRecord {
  id: string;
  revision: number;
  head: TriggerHead;
  read: () => TaskRecord;
}

/** How far all has come. */
export interface Delivered {
  revision: number;
  /** By the server's clock: all that was written up to then has come. Undefined while there is more to come. */
  upTo?: string | undefined;
}

export interface RecordHandlers {
  /** All up to this revision were looked at before: they are not even decoded. */
  seenTo: () => number;
  /** Undefined `record`: nothing to look at, but all up to there has come. */
  onRecord: (delivered: Delivered, record: SeenRecord | undefined) => void;
  onReady?: () => void;
}

/** In the order of the revisions, present ones first. Of several quick changes of one record some may be left out, never the last one. */
export function watchRecords(bus: Bus, bucket: Bucket<typeof TaskRecord>, handlers: RecordHandlers): Promise<Watch> {
  return Watch.open(bus, bucket as unknown as Bucket<never>, {
    keys: ">",
    onReady: handlers.onReady ?? (() => {}),
    onEntry: (entry) => {
      const { key, revision, operation, delta } = entry;
      if (revision <= handlers.seenTo()) return;
      const what = `${bucket.name}/${key}`;
      let head: TriggerHead | undefined;
      try {
        head = operation === "PUT" ? decode(Head, entry.value, what) : undefined;
      } catch {
        // Of a newer navvy, or damaged: who lists tasks is told, and a trigger can not judge it.
      }
      const upTo = delta === 0 ? entry.created.toISOString() : undefined;
      handlers.onRecord({ revision, upTo }, head && { id: key, revision, head, read: () => decode(TaskRecord, entry.value, what) });
    },
  });
}
