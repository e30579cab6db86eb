import {
  type ArtifactRef,
  type Condition,
  isEnded,
  type ParameterValue,
  parseCondition,
  type TaskRecord,
  type Trigger,
  type TriggerFilter,
  type TriggerHead,
  type TriggerOn,
} from "../../protocol/index.js";

/** Something that a trigger fires on, once. */
export interface Occasion {
  /** Names it among all of the trigger's. */
  key: string;
  /** When it came about. */
  at: string;
  /** What it hands on beside the task. */
  values: Record<string, ParameterValue>;
}

/** What there is to fire on, or why there is nothing. */
export type Judgement = { occasions: Occasion[] } | { why: string };

/** A condition that is asked of every change is read once. */
const conditions = new Map<string, Condition>();

function conditionOf(where: string): Condition {
  const known = conditions.get(where) ?? parseCondition(where);
  if (conditions.size > 1_000) conditions.clear();
  conditions.set(where, known);
  return known;
}

/**
 * Whether it is worth reading the whole record: cheap, and never no where there is something to fire on.
 * @param done keys that are dealt with
 */
export function mayMatch(trigger: Pick<Trigger, "on" | "filter">, head: TriggerHead, done: ReadonlySet<string>): boolean {
  const { on, filter } = trigger;
  if (whyFiltered(filter, head) !== undefined) return false;
  if (on.kind === "status") return head.status !== "draft";
  if (on.kind === "tag") return head.tags.includes(on.tag);
  // A running task's record changes every few seconds.
  return head.attempt > 0 && !(on.kind === "metric" && done.has(attemptKey(head)));
}

/** Of a condition that was met once there is no more to see in that attempt. */
export const attemptKey = ({ id, attempt }: Pick<TriggerHead, "id" | "attempt">) => `${id}.${attempt}`;

/**
 * Numbers the lives of a task: it begins another one when it is reset, and fires again then. Attempts of one life, after a failure or the
 * loss of a machine, are the same occasion.
 */
const lifeOf = ({ attempts, attempt }: Pick<TaskRecord, "attempts" | "attempt">) => attempts[0]?.attempt ?? attempt + 1;

/**
 * What of a record the trigger fires on. From the record alone, so that it does not matter who looks at it, when, and how often; what was
 * before the trigger's time does not count.
 * @param artifacts all of them, also those that the record does not name itself
 */
export function judge(trigger: Pick<Trigger, "on" | "filter" | "since">, record: TaskRecord, artifacts: ArtifactRef[]): Judgement {
  const filtered = whyFiltered(trigger.filter, record);
  if (filtered !== undefined) return { why: filtered };
  const found = occasionsOf(trigger.on, record, artifacts);
  if (found.length === 0) return { why: whyNothing(trigger.on, record) };
  const occasions = found.filter(({ at }) => at >= trigger.since);
  return occasions.length > 0 ? { occasions } : { why: `that was before ${trigger.since}, when the trigger was made or resumed` };
}

/** Clocks may differ by as much, and what a task reports may come as late. */
const LATE_MS = 3_600_000;

/**
 * Whether an occasion was dealt with, because its record was looked at long after: what it made may be gone, without a trace once its
 * leftovers are cleaned away. A task that never ran may yet come to fit the filter, and the filter's tags may be added at any time.
 */
export function isPast(
  { trigger, record, seenAt = "" }: { trigger: Pick<Trigger, "filter">; record: TaskRecord; seenAt?: string | undefined },
  { at }: Occasion,
): boolean {
  if (record.attempts.length === 0) return false;
  const times = [at, ...(trigger.filter.tags ?? []).flatMap((tag) => record.tagged?.[tag] ?? [])];
  return times.every((time) => Date.parse(time) < Date.parse(seenAt) - LATE_MS);
}

function whyFiltered(filter: TriggerFilter, task: TriggerHead): string | undefined {
  const { project, name, tags = [], taskType, queue } = filter;
  const missing = tags.find((tag) => !task.tags.includes(tag));
  if (project !== undefined && project !== task.project) return `its project is ${task.project}, not ${project}`;
  if (name !== undefined && !isLike(name, task.name)) return `its name ${task.name} is not like ${name}`;
  if (missing !== undefined) return `it has no tag ${missing}`;
  if (taskType !== undefined && taskType !== task.taskType) return `its type is ${task.taskType}, not ${taskType}`;
  if (queue !== undefined && queue !== task.queue) return `its queue is ${task.queue ?? "none yet"}, not ${queue}`;
  return undefined;
}

/** A pattern with `*` for any characters. */
export function isLike(pattern: string, text: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "su").test(text);
}

function occasionsOf(on: TriggerOn, record: TaskRecord, artifacts: ArtifactRef[]): Occasion[] {
  switch (on.kind) {
    case "status":
      return on.statuses.flatMap((status) => reached(record, status) ?? []);
    case "metric": {
      const began = record.attempts.at(-1)?.claimedAt;
      if (began === undefined || record.attempt === 0 || !conditionOf(on.where).meets(record)) return [];
      // While it runs the figures are new; afterwards they are those of its end.
      const at = isEnded(record.status) ? (record.endedAt ?? record.changedAt) : new Date().toISOString();
      return [{ key: `metric.${record.id}.${lifeOf(record)}`, at, values: {} }];
    }
    case "artifact":
    case "model":
      return artifacts
        .filter((ref) => isLike(on.name, ref.name) && (on.kind === "artifact" ? ref.kind !== "manifest" : ref.kind === "model"))
        .map((ref) => ({ key: `artifact.${record.id}.${ref.name}.${ref.sha256}`, at: ref.uploadedAt, values: artifactValues(ref) }));
    case "tag":
      if (!record.tags.includes(on.tag)) return [];
      return [{ key: `tag.${record.id}.${on.tag}`, at: record.tagged?.[on.tag] ?? record.createdAt, values: { tag: on.tag } }];
  }
}

/** A status that was passed on the way counts too: between two looks a task may have gone on. */
function reached(record: TaskRecord, status: string): Occasion | undefined {
  const { id, attempt, ticket } = record;
  const life = lifeOf(record);
  // Of a retry neither is new.
  const began = record.attempts[0]?.claimedAt;
  const of = (key: string, at: string | undefined) => (at === undefined ? undefined : { key, at, values: { status } });
  if (status === "queued")
    return ticket > 0 && record.status !== "draft" ? of(`status.${id}.queued.${life}`, earlier(record.enqueuedAt, began)) : undefined;
  if (status === "running") return attempt > 0 ? of(`status.${id}.running.${life}`, began) : undefined;
  const isThere = record.status === status || (status === "completed" && record.status === "published");
  if (!isThere) return undefined;
  return of(`status.${id}.${status}.${life}`, status === "published" ? record.changedAt : (record.endedAt ?? record.changedAt));
}

const earlier = (at: string | undefined, began: string | undefined) => (at !== undefined && began !== undefined && began < at ? began : at);

function artifactValues({ name, sha256, sizeBytes, kind, version }: ArtifactRef): Record<string, ParameterValue> {
  return {
    "artifact.name": name,
    "artifact.sha256": sha256,
    "artifact.size": sizeBytes,
    "artifact.kind": kind ?? "",
    "artifact.version": version ?? sha256.slice(0, 12),
  };
}

function whyNothing(on: TriggerOn, record: TaskRecord): string {
  switch (on.kind) {
    case "status":
      return `it is ${record.status}, not ${on.statuses.join(" or ")}`;
    case "metric":
      return record.attempt === 0 ? "it never ran" : `what it reported does not meet ${on.where}`;
    case "artifact":
    case "model":
      return `it has no ${on.kind} like ${on.name}`;
    case "tag":
      return `it has no tag ${on.tag}`;
  }
}
