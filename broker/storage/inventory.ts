import type { Bus } from "../bus.js";
import { follow } from "../follow.js";
import { JS_ERROR, jetStreamCode, translate } from "../nats-error.js";
import { decodeMeta, Layout, type Meta } from "../objects/layout.js";
import { persist } from "../persist.js";
import { countSubjects } from "../subject-counts.js";

/** One object as it stands in the store; `at` is the server's time of its meta message. */
export interface StoredObject extends Meta {
  at: Date;
}

/** Chunks without an object: an upload that is under way, or was killed. */
export interface Unfinished {
  nuid: string;
  chunks: number;
  /** The server's time of its latest chunk. */
  at: Date;
}

export interface Inventory {
  objects: StoredObject[];
  unfinished: Unfinished[];
}

/** Everything in the object store. Chunks are listed before the objects, so an upload that ends in between is an object. */
export async function takeInventory(bus: Bus): Promise<Inventory> {
  const layout = new Layout(bus.assets.objects.name);
  const chunks = await countSubjects(bus, layout.stream, layout.chunks(">"));
  const objects: StoredObject[] = [];
  for await (const { data, sequence, time } of follow(bus, {
    stream: layout.stream,
    subject: `$O.${layout.bucket}.M.>`,
    from: "start",
    untilCaughtUp: true,
  }))
    objects.push({ ...decodeMeta(data, sequence), at: time });
  const known = new Set(objects.flatMap(({ nuid, isDeleted }) => (isDeleted ? [] : [nuid])));
  const unfinished: Unfinished[] = [];
  for (const { subject, messages } of chunks) {
    const nuid = subject.slice(layout.chunks("").length);
    if (known.has(nuid)) continue;
    const at = await lastTime(bus, layout.stream, subject);
    if (at) unfinished.push({ nuid, chunks: messages, at });
  }
  return { objects, unfinished };
}

/** When the latest message of a subject was stored, by the server's clock; undefined when there is none. */
export async function lastTime(bus: Bus, stream: string, subject: string): Promise<Date | undefined> {
  try {
    return (await persist(bus, () => bus.jsm.streams.getMessage(stream, { last_by_subj: subject }))).time;
  } catch (error) {
    if (jetStreamCode(error) === JS_ERROR.messageNotFound) return undefined;
    throw translate(error, `look at ${subject}`, bus.source);
  }
}
