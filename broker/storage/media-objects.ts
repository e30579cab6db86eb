import { MediaItem, unpack } from "../../protocol/index.js";
import type { Bus } from "../bus.js";
import type { ContentStore } from "../contents/content-store.js";
import { follow } from "../follow.js";

/** Every object that media name: they stand on the metric stream, and no record knows of them. */
export async function* mediaObjects(bus: Bus, objects: Pick<ContentStore, "partsOf">): AsyncGenerator<string, void, undefined> {
  const stream = bus.assets.streams.metric.name;
  for await (const message of follow(bus, { stream, subject: bus.subjects.allMedia, from: "start", untilCaughtUp: true })) {
    const item = unpack(message.data, message.subject) as Partial<MediaItem> | null;
    if (item?.type === MediaItem.shape.type.value && item.sha256 !== undefined) yield* objects.partsOf(item.sha256);
  }
}
