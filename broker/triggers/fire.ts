import { type ArtifactRef, type InputRef, isNavvyError, type TaskRecord, type Trigger, type TriggerState } from "../../protocol/index.js";
import { type Artifacts, inputRefOf } from "../artifacts.js";
import type { Events } from "../events.js";
import { fireOnce, type Tasks } from "../tasks/index.js";
import type { TriggerBook } from "./book.js";
import { attemptKey, isPast, judge, type Occasion } from "./match.js";
import { launchOf, scopeOf } from "./scope.js";

export interface FireParts {
  book: TriggerBook;
  tasks: Tasks;
  artifacts: Artifacts;
  events: Events;
}

/** What is to be judged. */
export interface Target {
  trigger: Trigger;
  record: TaskRecord;
  /** All that was written up to then was looked at before. */
  seenAt?: string | undefined;
}

/** Ancestors of a task that are looked at for what fired them. */
const MOST_ANCESTORS = 32;
const MOST_VIA = 50;

/**
 * Fires a trigger on all that a record gives occasion to, once for each. Safe to repeat, and for several at once: the task of each has an
 * id of its own, which is found when it is there.
 * @param done keys that need not be tried again: those that are dealt with are added
 * @throws NavvyError what can be tried again; all else is told in the trigger's state
 */
export async function fireOn(parts: FireParts, { trigger, record, seenAt }: Target, done: Set<string>): Promise<void> {
  const judgement = judge(trigger, record, await artifactsOf(parts.artifacts, trigger, record));
  if ("why" in judgement) return;
  const wanted = judgement.occasions.filter((occasion) => !done.has(occasion.key) && !isPast({ trigger, record, seenAt }, occasion));
  if (wanted.length > 0) await fireAll(parts, { trigger, record, occasions: wanted }, done);
  if (trigger.on.kind === "metric") done.add(attemptKey(record));
}

async function fireAll(
  parts: FireParts,
  { trigger, record, occasions }: { trigger: Trigger; record: TaskRecord; occasions: Occasion[] },
  done: Set<string>,
): Promise<void> {
  const via = await viaOf(parts.tasks, record);
  for (const occasion of occasions) {
    if (trigger.onOwn || !via.includes(trigger.id)) await fire(parts, { trigger, record, occasion, via });
    done.add(occasion.key);
  }
}

/** With more artifacts than a record names they stand in a manifest. */
export async function artifactsOf(artifacts: Artifacts, { on }: Pick<Trigger, "on">, record: TaskRecord): Promise<ArtifactRef[]> {
  if (on.kind !== "artifact" && on.kind !== "model") return [];
  return artifacts.listAll(record).catch((error: unknown) => {
    if (isNavvyError(error) && error.retryable) throw error;
    return artifacts.list(record); // it is damaged or gone: those that the record itself names are there
  });
}

/** The triggers that led to a task: those of the task itself, else those of the controller that made it. */
export async function viaOf(tasks: Tasks, record: TaskRecord): Promise<string[]> {
  const found: string[] = [];
  let current: TaskRecord | undefined = record;
  for (let i = 0; current !== undefined && i < MOST_ANCESTORS; i++) {
    found.unshift(...(current.firedBy?.via ?? []));
    current = current.parent === undefined ? undefined : (await tasks.bucket.get(current.parent))?.value;
  }
  return [...new Set(found)];
}

interface Shot {
  trigger: Trigger;
  record: TaskRecord;
  occasion: Occasion;
  via: string[];
}

async function fire(parts: FireParts, shot: Shot): Promise<void> {
  const { trigger, record, occasion } = shot;
  const { name } = trigger;
  const whose = { kind: "trigger" as const, id: name, key: occasion.key };
  try {
    const fired = await make(parts, shot);
    if (!fired?.isNew) return;
    await note(parts.book, trigger, (state) => {
      const { trouble: _trouble, ...rest } = state;
      return { ...rest, fired: state.fired + 1, last: { at: occasion.at, task: fired.task.id, of: record.id } };
    });
    parts.events.emit({ ...whose, event: "fired", reason: `on task ${record.name}`, data: { task: fired.task.id, of: record.id } });
  } catch (error) {
    if (!isNavvyError(error) || error.retryable) throw error;
    const trouble = { at: new Date().toISOString(), message: error.message };
    await note(parts.book, trigger, (state) => ({ ...state, trouble }));
    parts.events.emit({ ...whose, event: "failed", reason: error.message, data: { of: record.id } });
  }
}

async function make(parts: FireParts, { trigger, record, occasion, via }: Shot) {
  const { name, id } = trigger;
  const { launch, inputs } = launchOf(trigger, scopeOf(trigger, record, occasion));
  const template = (await parts.tasks.bucket.get(launch.template))?.value;
  const refs = await inputsOf(parts.artifacts, record, inputs);
  const spec = Object.keys(refs).length === 0 ? {} : { spec: { inputs: { ...template?.spec.inputs, ...refs } } };
  const firedBy = { kind: "trigger" as const, name, id, at: occasion.at, task: record.id, via: [...via, id].slice(-MOST_VIA) };
  return fireOnce(parts.tasks, { launch, firedBy, key: occasion.key, ...spec });
}

async function inputsOf(artifacts: Artifacts, record: TaskRecord, inputs: Record<string, string>): Promise<Record<string, InputRef>> {
  const refs: Record<string, InputRef> = {};
  for (const [name, artifact] of Object.entries(inputs)) refs[name] = inputRefOf(await artifacts.resolve(record, artifact), record.id);
  return refs;
}

/** Writes into the trigger's state, unless it is another one by now. */
export async function note(book: TriggerBook, { name, id }: Trigger, change: (state: TriggerState) => TriggerState): Promise<void> {
  for (;;) {
    const found = await book.get(name);
    if (found?.trigger.id !== id) return;
    const next = { ...change(found.state), changedAt: new Date().toISOString() };
    if (await book.write(name, next, found.revision)) return;
  }
}
