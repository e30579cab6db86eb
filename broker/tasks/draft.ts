import { createHash } from "node:crypto";
import { monotonicFactory } from "ulid";
import { type FiredBy, NavvyError, Parameters, type ParameterValue, type TaskRecord, TaskSpec } from "../../protocol/index.js";
import { graceWithin } from "./refusals.js";
import { emptyReport, now } from "./transition.js";

const nextUlid = monotonicFactory();

export interface NewTask {
  name: string;
  project?: string;
  taskType?: string;
  tags?: string[];
  comment?: string;
  parent?: string;
  /** What to run; parts left out get their defaults. */
  spec?: Partial<TaskSpec> & { command?: string[] };
  /** `General/lr` → value. */
  parameters?: Record<string, ParameterValue>;
  /** Makes the id from (parent, key), so that creating it again gives the same task. */
  key?: string;
  /** Of a step that may be taken from a cache. */
  cache?: TaskRecord["cache"];
  /** The schedule or trigger that makes it: with `key` the id is made from its id then. */
  firedBy?: FiredBy;
}

/** Overrides that a clone may carry in the same call. */
export interface CloneOverrides extends Partial<Omit<NewTask, "spec">> {
  spec?: Partial<TaskSpec>;
}

export const DEFAULT_PROJECT = "default";

/** @throws NavvyError invalid_argument */
export function newDraft(task: NewTask, by: string): TaskRecord {
  const created = now();
  const parsed = TaskSpec.parse({ command: [], ...task.spec });
  const spec = { ...parsed, graceMs: graceWithin(parsed, task.spec?.graceMs !== undefined) };
  return {
    type: "navvy.task.v1",
    id: idOf(task),
    name: task.name,
    project: task.project ?? DEFAULT_PROJECT,
    taskType: task.taskType ?? "training",
    tags: task.tags ?? [],
    ...(task.comment === undefined ? {} : { comment: task.comment }),
    ...(task.parent === undefined ? {} : { parent: task.parent }),
    ...(task.cache === undefined ? {} : { cache: task.cache }),
    ...(task.firedBy === undefined ? {} : { firedBy: task.firedBy }),
    archived: false,
    createdAt: created,
    createdBy: by,
    spec: { ...spec, parameters: setParameters(spec.parameters, task.parameters ?? {}) },
    status: "draft",
    reason: "created",
    by,
    changedAt: created,
    class: "normal",
    shape: "cpu",
    ticket: 0,
    attempt: 0,
    failures: 0,
    losses: 0,
    attempts: [],
    reported: emptyReport(),
  };
}

/** The id that a task will have: with a key always the same. */
export function idOf({ key, parent, firedBy }: Pick<NewTask, "key" | "parent" | "firedBy">): string {
  return key === undefined ? nextUlid() : derivedId(firedBy?.id ?? parent ?? "", key);
}

/** A draft with the template's specification, its inputs by name with the overrides' over them: no history, no results. */
export function cloneOf(template: TaskRecord, overrides: CloneOverrides, by: string): TaskRecord {
  // The template's grace was not asked for in this call.
  const inputs = { ...template.spec.inputs, ...overrides.spec?.inputs };
  const merged = { ...template.spec, ...overrides.spec, inputs };
  const spec = { ...merged, graceMs: graceWithin(merged, overrides.spec?.graceMs !== undefined) };
  const draft = newDraft(
    {
      name: overrides.name ?? template.name,
      project: overrides.project ?? template.project,
      taskType: overrides.taskType ?? template.taskType,
      tags: overrides.tags ?? template.tags,
      comment: overrides.comment ?? template.comment,
      // What fires by itself belongs to no controller, whoever made the template.
      parent: overrides.firedBy ? undefined : (overrides.parent ?? template.parent),
      firedBy: overrides.firedBy,
      key: overrides.key,
      cache: overrides.cache,
      spec,
      parameters: overrides.parameters,
    } as NewTask,
    by,
  );
  return { ...draft, clonedFrom: template.id, reason: `cloned from ${template.id}` };
}

/** Sets `Section/name` values in a copy. @throws NavvyError invalid_argument for a name without its section */
export function setParameters(parameters: Parameters, values: Record<string, ParameterValue>): Parameters {
  const next = structuredClone(parameters);
  for (const [path, value] of Object.entries(values)) {
    const slash = path.indexOf("/");
    if (slash <= 0 || slash === path.length - 1) throw sectionless(path);
    const section = path.slice(0, slash);
    next[section] = { ...next[section], [path.slice(slash + 1)]: value };
  }
  return Parameters.parse(next);
}

function sectionless(path: string): NavvyError {
  const name = path.replaceAll("/", "") || "NAME";
  return new NavvyError("invalid_argument", `parameter ${JSON.stringify(path)} has no section`, {
    why: "parameters live in sections: SECTION/NAME",
    fix: `General/${name}`,
  });
}

/** An id in ULID's alphabet from (parent, key): a controller that runs again finds its children instead of making new ones. */
export function derivedId(parent: string, key: string): string {
  const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  const digest = createHash("sha256").update(`${parent}\0${key}`).digest();
  const tail = [...digest.subarray(0, 16)].map((byte) => alphabet[byte % 32]).join("");
  return `${parent.slice(0, 10).padEnd(10, "0")}${tail}`;
}
