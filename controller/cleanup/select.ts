import { isEnded, type TaskRecord } from "../../protocol/index.js";
import { sweepTemplateOf } from "../sweep/index.js";

/** Which tasks a clean-up is about. */
export interface CleanupChoice {
  /** Ended longer ago. */
  olderMs: number;
  /** Default: completed, failed and aborted. Published ones never go. */
  status?: ("completed" | "failed" | "aborted")[] | undefined;
  project?: string | undefined;
  /** Tasks with one of these tags stay, besides those tagged `keep`. */
  keepTagged?: string[] | undefined;
  /** `archive` takes them out of lists, `delete` for good, with logs, metrics and artifacts. */
  verb: "archive" | "delete";
}

/** One that is old enough, and what keeps it all the same. */
export interface Candidate {
  task: TaskRecord;
  kept?: string | undefined;
}

/** What retention never takes stays here too. */
const KEEP_TAG = "keep";

/** What a choice is made by, beside the records. */
export interface CleanupFacts {
  nowMs: number;
  /** Tasks that schedules and triggers clone, with what. */
  templates: ReadonlyMap<string, string>;
}

/**
 * What is old enough, oldest first, and what of it stays because something still needs it. Pure.
 * @param all every record, archived ones too: what they refer to counts
 */
export function selectOld(all: TaskRecord[], choice: CleanupChoice, { nowMs, templates }: CleanupFacts): Candidate[] {
  const needed = new Map([...neededBy(all), ...templates]);
  const endedMs = ({ endedAt, changedAt }: TaskRecord) => Date.parse(endedAt ?? changedAt);
  return all
    .filter((task) => isMeant(task, choice) && nowMs - endedMs(task) > choice.olderMs)
    .sort((a, b) => endedMs(a) - endedMs(b) || a.id.localeCompare(b.id))
    .map((task) => ({ task, kept: whyKept(task, choice, needed) }));
}

function isMeant(task: TaskRecord, { status, project, verb }: CleanupChoice): boolean {
  if (!isEnded(task.status) || task.status === "published") return false;
  if (verb === "archive" && task.archived) return false;
  return (project === undefined || task.project === project) && (status === undefined || status.some((each) => each === task.status));
}

function whyKept({ id, tags, reported }: TaskRecord, { keepTagged = [] }: CleanupChoice, needed: Map<string, string>): string | undefined {
  const tag = tags.find((each) => each === KEEP_TAG || keepTagged.includes(each));
  if (tag !== undefined) return `tagged ${tag}`;
  const model = reported.artifacts.find(({ kind }) => kind === "model");
  return model ? `it made model ${model.name}` : needed.get(id);
}

/**
 * Tasks that something needs: what a task takes as an input while it is not over or is published, the controllers above what is
 * under way, and the children of a controller that is, which finds them by their records when it runs again; what a sweep that is not
 * over clones.
 */
function neededBy(all: TaskRecord[]): Map<string, string> {
  const byId = new Map(all.map((task) => [task.id, task]));
  const isAlive = ({ status }: TaskRecord) => status === "queued" || status === "running";
  const needed = new Map<string, string>();
  const need = (id: string | undefined, why: string) => id !== undefined && !needed.has(id) && needed.set(id, why);
  for (const task of all) {
    const short = task.id.slice(-6);
    if (isAlive(task) || task.status === "draft" || task.status === "published")
      for (const { from } of Object.values(task.spec.inputs)) need(from?.task, `${task.status} task ${short} takes an input from it`);
    if (isAlive(task) || task.status === "draft") need(sweepTemplateOf(task), `template of ${task.status} sweep ${short}`);
    const above = [...ancestors(task, byId)];
    if (isAlive(task)) for (const parent of above) need(parent.id, `its child ${short} is ${task.status}`);
    const open = above.find(isAlive);
    if (open) need(task.id, `its controller ${open.id.slice(-6)} is ${open.status}`);
  }
  return needed;
}

function* ancestors(task: TaskRecord, byId: Map<string, TaskRecord>): Generator<TaskRecord> {
  const seen = new Set([task.id]);
  for (let parent = byId.get(task.parent ?? ""); parent && !seen.has(parent.id); parent = byId.get(parent.parent ?? "")) {
    seen.add(parent.id);
    yield parent;
  }
}
