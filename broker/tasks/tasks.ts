import { isEnded, type Parameters, type ParameterValue, type QueueClass, TaskHead, TaskRecord } from "../../protocol/index.js";
import { askAgent } from "../ask-agent.js";
import { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";
import { hearChildren } from "../child-bell.js";
import type { Events } from "../events.js";
import type { Journals } from "../journal.js";
import { classRank, type Queues } from "../queues.js";
import type { Watch } from "../watch.js";
import { Claims } from "./claims.js";
import { type CloneOverrides, cloneOf, idOf, type NewTask, newDraft, setParameters } from "./draft.js";
import { edited } from "./edit.js";
import { findTask, isTaskId, listTasks, noSuchTask, type TaskFilter } from "./find.js";
import { loseTask } from "./lose.js";
import { type EnqueueOptions, placed } from "./place.js";
import { checked, checkFit, checkType, notEmpty, notQueued, notWhile } from "./refusals.js";
import { removeTask } from "./remove.js";
import { retagged } from "./tags.js";
import { aborting, emptyReport, moved, now, requeued } from "./transition.js";
import { type WaitOptions, waitForTask } from "./wait.js";
import { type WatchHandlers, watchRecords } from "./watch-records.js";

/** What became of a wish to abort: each step is visible. */
export type AbortProgress = "requested" | "delivered" | "aborted";

/**
 * The verbs over task records. References are ids, unique suffixes, names or `project/name`; every change is a
 * compare-and-set with a reason and an actor, and appends an event.
 */
export class Tasks {
  readonly bucket: Bucket<typeof TaskRecord>;
  readonly claims: Claims;
  readonly #bus: Bus;
  readonly #queues: Queues;
  readonly #events: Events;
  readonly #journals: Journals;

  constructor(bus: Bus, { queues, events, journals }: { queues: Queues; events: Events; journals: Journals }) {
    this.#bus = bus;
    this.#journals = journals;
    this.#queues = queues;
    this.#events = events;
    this.bucket = new Bucket(bus, bus.assets.buckets.tasks.name, TaskRecord);
    this.claims = new Claims({ bucket: this.bucket, queues, events });
  }

  /** A new draft. With `key`, creating it again returns the task of the first time. @throws NavvyError invalid_argument, too_large */
  async create(task: NewTask): Promise<TaskRecord> {
    return (await this.#insert(newDraft(checked(task), this.#bus.actor))).task;
  }

  /** @throws NavvyError not_found, ambiguous, newer_version */
  get(reference: string): Promise<TaskRecord> {
    return findTask(this.#bus, this.bucket, reference);
  }

  list(filter: TaskFilter = {}, onUnreadable?: (key: string, error: unknown) => void): Promise<TaskRecord[]> {
    return listTasks(this.#bus, this.bucket, { ...filter, onUnreadable });
  }

  /** A draft with the template's specification; overrides in the same call. */
  async clone(reference: string, overrides: CloneOverrides = {}): Promise<TaskRecord> {
    return (await this.cloneOnce(reference, overrides)).task;
  }

  /** The same; with `key` it says whether this call made it. */
  async cloneOnce(reference: string, overrides: CloneOverrides): Promise<{ task: TaskRecord; isNew: boolean }> {
    const template = await this.get(reference);
    if (overrides.taskType !== undefined) checkType(overrides.taskType);
    return this.#insert(cloneOf(template, overrides, this.#bus.actor));
  }

  /** Changes a draft. @throws NavvyError not_draft */
  async edit(reference: string, change: (draft: TaskRecord) => TaskRecord, reason = "edited"): Promise<TaskRecord> {
    return this.#change(reference, { event: "edited" }, (record) => edited(record, change, { reason, by: this.#bus.actor }));
  }

  /** Sets `Section/name` values of a draft, keeping their types. @throws NavvyError not_draft, invalid_argument */
  setParameters(reference: string, values: Record<string, ParameterValue>): Promise<TaskRecord> {
    const names = Object.keys(values).join(", ");
    return this.edit(
      reference,
      (draft) => ({ ...draft, spec: { ...draft.spec, parameters: setParameters(draft.spec.parameters, values) as Parameters } }),
      `set ${names}`,
    );
  }

  /**
   * A new task (a clone of `template`, where there is one) that is queued from its first moment: `create` and `enqueue` in one write.
   * With `key`, one that exists already is only sent on its way if it is a draft still.
   * @throws NavvyError invalid_argument (nothing to run), not_found (a queue that looks like a slip), too_large
   */
  async submit(task: NewTask, options: EnqueueOptions & { template?: TaskRecord }): Promise<TaskRecord> {
    const { template } = options;
    const draft = template ? cloneOf(template, task, this.#bus.actor) : newDraft(checked(task), this.#bus.actor);
    await this.#queues.require(options.queue, { create: options.createQueue ?? false });
    const queued = placed(draft, options, this.#bus.actor);
    const { task: record, isNew } = await this.#insert(queued);
    if (!isNew) return record.status === "draft" ? this.enqueue(record.id, options) : record;
    this.#events.emit({
      kind: "task",
      id: queued.id,
      event: "queued",
      reason: queued.reason,
      key: 1,
      data: { name: queued.name, queue: queued.queue },
    });
    await this.claims.requeue(queued);
    return queued;
  }

  /** The id that a task with a key has, or will have. */
  idOf(task: { parent?: string; key: string }): string {
    return idOf(task);
  }

  /** Draft → queued. @throws NavvyError illegal_move, not_found (a queue that looks like a slip), invalid_argument (nothing to run) */
  async enqueue(reference: string, options: EnqueueOptions): Promise<TaskRecord> {
    await this.#queues.require(options.queue, { create: options.createQueue ?? false });
    const record = await this.#change(reference, {}, (task) => placed(task, options, this.#bus.actor));
    await this.claims.requeue(record);
    return record;
  }

  /** Queued → draft. */
  dequeue(reference: string, reason = "dequeued"): Promise<TaskRecord> {
    return this.#change(reference, {}, (task) => {
      if (task.status !== "queued") throw notQueued(task);
      return moved(task, "draft", { reason, by: this.#bus.actor });
    });
  }

  /** Gives a queued task another class or queue: a new ticket, at the end of that class. */
  async move(reference: string, to: { class?: QueueClass; queue?: string }): Promise<TaskRecord> {
    if (to.queue !== undefined) await this.#queues.require(to.queue);
    const record = await this.#change(reference, { event: "moved" }, (task) => {
      if (task.status !== "queued") throw notQueued(task);
      const patch = {
        class: to.class ?? task.class,
        queue: to.queue ?? task.queue,
        ...(task.notBefore ? { notBefore: task.notBefore } : {}),
        ...(task.parked ? { parked: task.parked } : {}),
        ...(task.abort ? { abort: task.abort } : {}),
      };
      return requeued(task, { reason: `moved to ${patch.queue}/${patch.class}`, by: this.#bus.actor, patch });
    });
    await this.claims.requeue(record);
    return record;
  }

  /** Ends a queued task at once, a running one through its agent. @throws NavvyError illegal_move */
  async abort(
    reference: string,
    options: { reason?: string; graceMs?: number } = {},
  ): Promise<{ task: TaskRecord; progress: AbortProgress }> {
    const reason = options.reason ?? "aborted";
    const wish = { at: now(), by: this.#bus.actor, reason, ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }) };
    const task = await this.#change(reference, { event: "abort_requested" }, (record) => aborting(record, wish));
    if (task.status === "aborted") return { task, progress: "aborted" };
    if (task.status === "queued") await this.claims.requeue(task);
    const reply = await askAgent(this.#bus, task.owner?.agent ?? "", {
      verb: "abort",
      task: task.id,
      attempt: task.attempt,
      reason,
      graceMs: options.graceMs,
    });
    return { task, progress: reply?.ok ? "delivered" : "requested" };
  }

  /** Wakes a parked task; one that runs will not park then. @returns whether there was anything to wake */
  async unpark(reference: string, reason: string): Promise<boolean> {
    const id = isTaskId(reference) ? reference.toUpperCase() : (await this.get(reference)).id;
    return (await this.claims.unpark(id, { reason, by: this.#bus.actor })) !== undefined;
  }

  /** Gives up a running task whose agent is gone. @throws NavvyError illegal_move while its session is there */
  async lose(reference: string, reason?: string): Promise<TaskRecord> {
    return loseTask({ bus: this.#bus, claims: this.claims }, await this.get(reference), reason);
  }

  /**
   * An ended, unpublished task → draft. Attempt numbers go on: they are the fencing tokens. A controller begins anew, unless it
   * `keepsJournal`: then what it has finished stays finished.
   */
  async reset(reference: string, options: { keepsJournal?: boolean } = {}): Promise<TaskRecord> {
    const record = await this.#change(reference, {}, (task) => {
      if (!isEnded(task.status)) throw notWhile(task, "reset to draft");
      const { outcome: _outcome, endedAt: _endedAt, abort: _abort, enqueuedAt: _enqueuedAt, expired: _expired, ...rest } = task;
      return moved(rest, "draft", {
        reason: "reset",
        by: this.#bus.actor,
        patch: { attempts: [], reported: emptyReport(), failures: 0, losses: 0 },
      });
    });
    if (!options.keepsJournal) await this.#journals.of(record.id).restart();
    return record;
  }

  /** Completed → published: read-only from here on. */
  publish(reference: string): Promise<TaskRecord> {
    return this.#change(reference, {}, (task) => moved(task, "published", { reason: "published", by: this.#bus.actor }));
  }

  /** Takes a task out of lists, or back into them. */
  archive(reference: string, archived = true): Promise<TaskRecord> {
    return this.#change(reference, { event: archived ? "archived" : "unarchived" }, (task) => {
      if (task.status === "queued" || task.status === "running") throw notWhile(task, "archived");
      return { ...task, archived };
    });
  }

  /** Adds and removes tags, whatever the task's state. */
  async tag(reference: string, change: { add?: string[]; remove?: string[] }): Promise<TaskRecord> {
    return this.#change(reference, { event: "tagged" }, (task) => retagged(task, change));
  }

  /** Removes the record for good. @throws NavvyError illegal_move while it is queued or running, or published without `force` */
  async delete(reference: string, options: { force?: boolean } = {}): Promise<void> {
    const parts = { bus: this.#bus, bucket: this.bucket, events: this.#events, journals: this.#journals };
    await removeTask(parts, await this.get(reference), options);
  }

  /** A queue's tasks in the order in which they will run. */
  async queued(queue: string): Promise<TaskRecord[]> {
    const tasks = await this.list({ queue, status: "queued" });
    return tasks.sort(
      (a, b) =>
        classRank(a.class) - classRank(b.class) || (a.enqueuedAt ?? "").localeCompare(b.enqueuedAt ?? "") || a.id.localeCompare(b.id),
    );
  }

  /** Takes every queued task of a queue back to draft; returns how many. */
  async clearQueue(queue: string): Promise<number> {
    const tasks = await this.queued((await this.#queues.get(queue)).name);
    await Promise.all(tasks.map((task) => this.dequeue(task.id, `queue ${queue} cleared`)));
    return tasks.length;
  }

  /** @throws NavvyError not_empty, unless forced: then its tasks go back to draft */
  async removeQueue(queue: string, options: { force?: boolean } = {}): Promise<number> {
    const { name } = await this.#queues.get(queue);
    const waiting = await this.queued(name);
    if (waiting.length > 0 && !options.force) throw notEmpty(name, waiting.length);
    const cleared = await this.clearQueue(name);
    await this.#queues.remove(name);
    return cleared;
  }

  /** Resolves with the record once the task has ended (or `until` says so). Wakes by watch, survives restarts of NATS. */
  wait(reference: string, options: WaitOptions = {}): Promise<TaskRecord> {
    return waitForTask({ bus: this.#bus, bucket: this.bucket, find: (name) => this.get(name) }, reference, options);
  }

  /** Calls back with the id of each child of a task that has changed; losing one costs latency only. */
  onChild(parent: string, onChange: (id: string) => void): { close(): void } {
    return hearChildren(this.#bus, parent, onChange);
  }

  /** Like `watch` on all tasks, with only what says where each stands: reading whole records costs five times as much. */
  watchHeads(handlers: WatchHandlers<TaskHead>): Promise<Watch> {
    return watchRecords(this.#bus, new Bucket(this.#bus, this.bucket.name, TaskHead), { keys: ">", ...handlers });
  }

  /** Calls back with every version of the records that fit `keys` (`>`: all), current ones first. */
  watch(keys: string, handlers: WatchHandlers<TaskRecord>): Promise<Watch> {
    return watchRecords(this.#bus, this.bucket, { keys, ...handlers });
  }

  async #insert(draft: TaskRecord): Promise<{ task: TaskRecord; isNew: boolean }> {
    checkFit(draft);
    const revision = await this.bucket.create(draft.id, draft);
    if (revision === undefined) return { task: (await this.bucket.get(draft.id))?.value ?? draft, isNew: false };
    this.#events.emit({ kind: "task", id: draft.id, event: "created", reason: draft.reason, key: revision, data: { name: draft.name } });
    return { task: draft, isNew: true };
  }

  async #change(reference: string, options: { event?: string }, change: (record: TaskRecord) => TaskRecord): Promise<TaskRecord> {
    const id = isTaskId(reference) ? reference.toUpperCase() : (await this.get(reference)).id;
    const changed = await this.bucket.modify(id, change);
    if (!changed) throw noSuchTask(id, []);
    const { value, revision } = changed;
    this.#events.emit({
      kind: "task",
      id,
      event: options.event ?? value.status,
      reason: value.reason,
      key: revision,
      data: { name: value.name, queue: value.queue },
      parent: value.parent,
    });
    return value;
  }
}
