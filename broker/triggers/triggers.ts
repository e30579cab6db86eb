import { ulid } from "ulid";
import {
  checkName,
  closest,
  type Launch,
  NavvyError,
  parseCondition,
  type TaskRecord,
  type Trigger,
  type TriggerFilter,
  type TriggerOn,
} from "../../protocol/index.js";
import type { Artifacts } from "../artifacts.js";
import type { BookHandlers } from "../book.js";
import type { Bus } from "../bus.js";
import type { Events } from "../events.js";
import type { Queues } from "../queues.js";
import type { Tasks } from "../tasks/index.js";
import type { Watch } from "../watch.js";
import { type Triggered, triggerBook } from "./book.js";
import { artifactsOf, type FireParts, fireOn, note, type Target, viaOf } from "./fire.js";
import { judge } from "./match.js";
import { type RecordHandlers, watchRecords } from "./records.js";
import { checkLaunch } from "./scope.js";

export interface NewTrigger {
  name: string;
  on: TriggerOn;
  filter?: TriggerFilter;
  /** A task, as people name it: each firing clones it. */
  template: string;
  launch: Omit<Launch, "template" | "templateName">;
  /** Inputs of the clone: name → artifact of the task that it fires on. */
  inputs?: Record<string, string>;
  /** Also on tasks that come of its own firings. */
  onOwn?: boolean;
  /** Make the queue even if its name looks like a slip of another one's. */
  createQueue?: boolean;
}

/** Whether a trigger would fire on a task as it is. */
export interface Verdict {
  wouldFire: boolean;
  /** Why, or why not. */
  reason: string;
}

/** The verbs over triggers: what clones a template when something happens to a task. Whoever leads does it. */
export class Triggers {
  readonly #bus: Bus;
  readonly #queues: Queues;
  readonly #parts: FireParts;

  constructor(bus: Bus, parts: { tasks: Tasks; queues: Queues; artifacts: Artifacts; events: Events }) {
    const { queues, ...rest } = parts;
    this.#bus = bus;
    this.#queues = queues;
    this.#parts = { ...rest, book: triggerBook(bus) };
  }

  /** @throws NavvyError conflict, not_found (template, or a queue that looks like a slip), invalid_argument */
  async create(wanted: NewTrigger): Promise<Trigger> {
    const { name, on, filter = {}, inputs, onOwn = false } = wanted;
    checkName("trigger", name);
    if (on.kind === "metric") parseCondition(on.where);
    const task = await this.#parts.tasks.get(wanted.template);
    if (task.spec.command.length === 0)
      throw new NavvyError("invalid_argument", `task ${task.id} has no command, so there is nothing to run`, {
        fix: `navvy task edit ${task.id.slice(-8)} -- COMMAND …`,
      });
    const trigger: Trigger = {
      type: "navvy.trigger.v1",
      name,
      id: ulid(),
      createdAt: new Date().toISOString(),
      createdBy: this.#bus.actor,
      on,
      filter,
      launch: { ...wanted.launch, template: task.id, templateName: task.name },
      ...(inputs ? { inputs } : {}),
      onOwn,
      ...(await this.#fromNow()),
    };
    checkLaunch(trigger);
    await this.#queues.require(trigger.launch.queue, { create: wanted.createQueue ?? false });
    if ((await this.#parts.book.definitions.create(name, trigger)) === undefined)
      throw new NavvyError("conflict", `trigger ${JSON.stringify(name)} exists already`, {
        fix: [`navvy trigger show ${name}`, `navvy trigger rm ${name}`],
      });
    this.#told(name, "created", "created");
    return trigger;
  }

  /** @throws NavvyError not_found, with the name that was probably meant */
  async get(name: string): Promise<Triggered> {
    const found = await this.#parts.book.get(checkName("trigger", name));
    if (!found) throw await this.#unknown(name);
    const { trigger, state } = found;
    return { trigger, state };
  }

  list(onUnreadable?: (key: string, error: unknown) => void): Promise<Triggered[]> {
    return this.#parts.book.list(onUnreadable);
  }

  /** It fires on nothing until it is resumed. */
  async pause(name: string, reason: string): Promise<void> {
    const paused = { at: new Date().toISOString(), by: this.#bus.actor, reason };
    await this.#change(name, (trigger) => ({ ...trigger, paused }));
    this.#told(name, "paused", reason);
  }

  /** Ends a pause: what happened in it does not count. */
  async resume(name: string): Promise<void> {
    const since = await this.#fromNow();
    await this.#change(name, ({ paused, ...rest }) => (paused ? { ...rest, ...since } : undefined));
    this.#told(name, "resumed", "resumed");
  }

  async delete(name: string): Promise<void> {
    await this.get(name);
    await this.#parts.book.delete(name);
    this.#told(name, "deleted", "deleted");
  }

  /** Whether it would fire on a task as it is, whenever that came about. Fires nothing. */
  async test(name: string, task: TaskRecord): Promise<Verdict> {
    const { trigger } = await this.get(name);
    const { tasks, artifacts } = this.#parts;
    const judgement = judge({ ...trigger, since: "" }, task, await artifactsOf(artifacts, trigger, task));
    if ("why" in judgement) return { wouldFire: false, reason: judgement.why };
    if (!trigger.onOwn && (await viaOf(tasks, task)).includes(trigger.id))
      return { wouldFire: false, reason: "it comes of this trigger's own firings (--on-own lets it fire on those too)" };
    if (trigger.paused) return { wouldFire: false, reason: `the trigger is paused: ${trigger.paused.reason}` };
    const old = judgement.occasions.every(({ at }) => at < trigger.since);
    const already = old ? `, but did not: that was before ${trigger.since}, when it was made or resumed` : "";
    return { wouldFire: true, reason: `${judgement.occasions.length === 1 ? "once" : `${judgement.occasions.length} times`}${already}` };
  }

  /** Whoever leads: fires on all that a record gives occasion to, once for each. `done` remembers what need not be tried again. */
  fireOn(target: Target, done: Set<string>): Promise<void> {
    return fireOn(this.#parts, target, done);
  }

  /** Whoever leads: all records up to that revision, and what was written up to that time, were looked at. */
  async noteSeen(trigger: Trigger, { seenTo, seenAt = "" }: { seenTo: number; seenAt?: string | undefined }): Promise<void> {
    await note(this.#parts.book, trigger, (state) => {
      const latest = [state.seenAt ?? "", seenAt].sort().at(-1);
      return { ...state, seenTo: Math.max(state.seenTo, seenTo), ...(latest ? { seenAt: latest } : {}) };
    });
  }

  watch(handlers: BookHandlers<Triggered>): Promise<Watch> {
    return this.#parts.book.watch(handlers);
  }

  /** Every change of every record, present ones first, read no further than is asked for. */
  watchRecords(handlers: RecordHandlers): Promise<Watch> {
    return watchRecords(this.#bus, this.#parts.tasks.bucket, handlers);
  }

  async #fromNow(): Promise<Pick<Trigger, "since" | "sinceRevision">> {
    const { bucket } = this.#parts.tasks;
    const { state, ts } = await bucket.ask("ask for the latest revision", () => this.#bus.jsm.streams.info(`KV_${bucket.name}`));
    // By the server's clock: it is the agents' times that are compared with it, and this machine may have one of its own.
    const since = (ts === undefined ? new Date() : new Date(ts)).toISOString();
    return { since, sinceRevision: state.last_seq };
  }

  async #change(name: string, change: (trigger: Trigger) => Trigger | undefined): Promise<void> {
    if (!(await this.#parts.book.definitions.modify(checkName("trigger", name), change))) throw await this.#unknown(name);
  }

  async #unknown(name: string): Promise<NavvyError> {
    const names = (await this.list()).map(({ trigger }) => trigger.name);
    const meant = closest(name, names);
    return new NavvyError("not_found", `there is no trigger ${JSON.stringify(name)}${meant ? `; did you mean ${meant}?` : ""}`, {
      fix: "navvy trigger ls",
    });
  }

  #told(name: string, event: string, reason: string): void {
    this.#parts.events.emit({ kind: "trigger", id: name, event, reason });
  }
}
