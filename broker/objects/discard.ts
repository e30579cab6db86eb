import { isOlder } from "../connect.js";
import { follow } from "../follow.js";
import { mayPass } from "./link.js";
import type { Store } from "./upload.js";

const AT_ONCE = 16;

/**
 * Takes everything of a subject out of the object store. Purging by subject is safe here: no consumer of this stream is a work
 * queue's. But servers before 2.10 go on counting what was purged so against what their store may hold, until they refuse
 * every write: there the messages are deleted one by one.
 */
export async function discard(store: Store, subject: string): Promise<void> {
  const { bus, link, layout } = store;
  if (isOlder(bus.nc.info?.version ?? "", [2, 10, 0])) return deleteEach(store, subject);
  await link.persist(() => bus.jsm.streams.purge(layout.stream, { filter: subject }));
}

async function deleteEach({ bus, link, layout }: Store, subject: string): Promise<void> {
  const { stream } = layout;
  let batch: Promise<void>[] = [];
  for await (const { sequence } of follow(bus, { stream, subject, from: "start", untilCaughtUp: true, headersOnly: true })) {
    batch.push(link.persist(() => remove(sequence)));
    if (batch.length < AT_ONCE) continue;
    await Promise.all(batch);
    batch = [];
  }
  await Promise.all(batch);

  async function remove(sequence: number): Promise<void> {
    await bus.jsm.streams.deleteMessage(stream, sequence, false).catch((error: unknown) => {
      if (mayPass(error)) throw error; // any other refusal: it is gone already
    });
  }
}
