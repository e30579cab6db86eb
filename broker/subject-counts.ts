import type { Bus } from "./bus.js";
import { translate } from "./nats-error.js";
import { persist } from "./persist.js";

export interface SubjectCount {
  subject: string;
  messages: number;
}

/** Every subject of a stream that fits the filter, with how many messages stand on it. */
export async function countSubjects(bus: Bus, stream: string, filter: string): Promise<SubjectCount[]> {
  try {
    const { state } = await persist(bus, () => bus.jsm.streams.info(stream, { subjects_filter: filter }));
    return Object.entries(state.subjects ?? {}).map(([subject, messages]) => ({ subject, messages }));
  } catch (error) {
    throw translate(error, `look at stream ${stream}`, bus.source);
  }
}
