import { type ArtifactRef, type TaskRecord } from "../../protocol/index.js";
import type { Artifacts } from "../artifacts.js";
import type { Bus } from "../bus.js";
import { persist } from "../persist.js";
import { countSubjects } from "../subject-counts.js";
import type { Holding } from "./plan.js";

/** A task with this tag keeps all that it has. */
export const KEEP_TAG = "keep";

/** What every task of the fleet holds, from the records and what stands on the streams. */
export async function holdingsOf(parts: { bus: Bus; artifacts: Artifacts }, records: TaskRecord[]): Promise<Holding[]> {
  const metrics = await metricBytes(parts.bus);
  const standing = new Set(
    (await countSubjects(parts.bus, parts.bus.assets.streams.log.name, `${parts.bus.subjects.root}.log.>`)).map(({ subject }) => subject),
  );
  const open = openTasks(records);
  const byId = new Map(records.map((record) => [record.id, record]));
  const holdings: Holding[] = [];
  for (const record of records) {
    const { id, name, project, queue } = record;
    const kept = whyKept(record) ?? (hasOpenParent(record, byId, open) ? "its controller is still under way" : undefined);
    const logs = new Map(record.attempts.flatMap((attempt) => logPiece(attempt, parts.bus.subjects.log(id, attempt.attempt), standing)));
    const ofMetrics = metrics.get(id);
    const artifacts = new Map((await artifactsOf(parts.artifacts, record)).map(({ sha256, sizeBytes }) => [sha256, sizeBytes]));
    holdings.push({
      ...{ id, name, project, queue, kept },
      endedAt: isRemovable(record) ? (record.endedAt ?? record.changedAt) : undefined,
      pieces: { logs, metrics: new Map(ofMetrics ? [[id, ofMetrics]] : []), artifacts },
    });
  }
  return holdings;
}

/** Ended and not published: what runs or waits, drafts and what was published are never touched. */
export function isRemovable({ status }: Pick<TaskRecord, "status">): boolean {
  return status === "completed" || status === "failed" || status === "aborted";
}

export function whyKept({ status, tags }: Pick<TaskRecord, "status" | "tags">): string | undefined {
  if (status === "published") return "published";
  return tags.includes(KEEP_TAG) ? `tagged ${KEEP_TAG}` : undefined;
}

/** Compressed where it was rolled; what still stands on the stream as it was printed, as far as that is known. */
function logPiece({ log, logBytes }: TaskRecord["attempts"][number], subject: string, standing: Set<string>): [string, number][] {
  if (log) return [[log.sha256, log.sizeBytes]];
  if (!standing.has(subject)) return [];
  return [[subject, Object.values(logBytes ?? {}).reduce((sum, each) => sum + each, 0)]];
}

/** A manifest that is gone, or that can not be read here, leaves those that the record itself names: one task must not keep all others from being looked at. */
async function artifactsOf(artifacts: Artifacts, record: TaskRecord): Promise<ArtifactRef[]> {
  return artifacts.listAll(record).catch(() => artifacts.list(record));
}

/** By task: the server says how many messages a subject has, not how large they are, so each counts as the stream's average. */
async function metricBytes(bus: Bus): Promise<Map<string, number>> {
  const stream = bus.assets.streams.metric.name;
  const counts = await countSubjects(bus, stream, `${bus.subjects.root}.metric.>`);
  if (counts.length === 0) return new Map();
  const { state } = await persist(bus, () => bus.jsm.streams.info(stream));
  const average = state.messages === 0 ? 0 : state.bytes / state.messages;
  const sums = new Map<string, number>();
  for (const { subject, messages } of counts) {
    const id = bus.subjects.parse(subject)?.[1] ?? "";
    sums.set(id, (sums.get(id) ?? 0) + Math.round(messages * average));
  }
  return sums;
}

const openTasks = (records: TaskRecord[]) =>
  new Set(records.filter(({ status }) => status === "queued" || status === "running").map(({ id }) => id));

/** A controller that runs again finds its steps by their records, and reads what they reported: they stay while it is under way. */
function hasOpenParent(record: TaskRecord, byId: Map<string, TaskRecord>, open: Set<string>): boolean {
  const seen = new Set<string>();
  for (let id = record.parent; id !== undefined && !seen.has(id); id = byId.get(id)?.parent) {
    if (open.has(id)) return true;
    seen.add(id);
  }
  return false;
}
