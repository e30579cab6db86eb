import type { Bus } from "../bus.js";
import { isOlder } from "../connect.js";
import { follow } from "../follow.js";
import { isUnanswered, translate } from "../nats-error.js";
import { persist } from "../persist.js";

const AT_ONCE = 16;

/** A subject of a stream with limits, up to a message: never of a work queue, where a purge strands what stands behind it. */
export interface Discarded {
  stream: string;
  subject: string;
  /** The last message that goes; default: all of them. */
  upTo?: number;
}

/**
 * Takes messages of one subject out of a stream; safe to repeat. Servers before 2.10 go on counting what was purged against what
 * their store may hold, so there they go one by one: the newest first, since who reads along then just finds the end sooner.
 */
export async function discard(bus: Bus, { stream, subject, upTo }: Discarded): Promise<void> {
  try {
    if (isOlder(bus.nc.info?.version ?? "", [2, 10, 0])) return await deleteEach(bus, { stream, subject, ...(upTo ? { upTo } : {}) });
    await persist(bus, () => bus.jsm.streams.purge(stream, upTo === undefined ? { filter: subject } : { filter: subject, seq: upTo + 1 }));
  } catch (error) {
    throw translate(error, `delete ${subject} from ${stream}`, bus.source);
  }
}

async function deleteEach(bus: Bus, { stream, subject, upTo = Number.POSITIVE_INFINITY }: Discarded): Promise<void> {
  const sequences: number[] = [];
  for await (const { sequence } of follow(bus, { stream, subject, from: "start", untilCaughtUp: true, headersOnly: true }))
    if (sequence <= upTo) sequences.push(sequence);
  while (sequences.length > 0) await Promise.all(sequences.splice(-AT_ONCE).map(remove));

  async function remove(sequence: number): Promise<void> {
    await persist(bus, () => bus.jsm.streams.deleteMessage(stream, sequence, false)).catch((error: unknown) => {
      if (isUnanswered(error)) throw error; // any other refusal: it is gone already
    });
  }
}
