import { JournalEntry } from "../../protocol/index.js";
import { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";
import type { ContentStore } from "../contents/content-store.js";
import { snapshot } from "../snapshot.js";

/** Every object that a controller's journal names: no record knows of them. */
export async function* journalObjects(bus: Bus, objects: Pick<ContentStore, "partsOf">): AsyncGenerator<string, void, undefined> {
  const bucket = new Bucket(bus, bus.assets.buckets.journal.name, JournalEntry);
  for (const { value } of await snapshot(bus, bucket)) if (value.object) yield* objects.partsOf(value.object.sha256);
}
