import type { TaskRecord } from "../../protocol/index.js";
import type { Bus } from "../bus.js";
import { countSubjects } from "../subject-counts.js";
import { discard } from "./discard.js";

const NOUNS = ["log", "metric"] as const;

/** Takes a task's messages out of the streams, of every attempt that the record knew of: one that began since has a higher number. */
export async function discardReports(
  bus: Bus,
  { id, attempt }: Pick<TaskRecord, "id" | "attempt">,
  nouns: readonly (typeof NOUNS)[number][] = NOUNS,
): Promise<void> {
  for (const noun of nouns) {
    const stream = bus.assets.streams[noun].name;
    for (const { subject } of await countSubjects(bus, stream, `${bus.subjects.root}.${noun}.${id}.>`))
      if (Number(bus.subjects.parse(subject)?.[2]) <= attempt) await discard(bus, { stream, subject });
  }
}
