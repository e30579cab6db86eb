import type { Navvy } from "../broker/index.js";
import {
  isEnded,
  isNavvyError,
  NavvyError,
  type Outcome,
  type ParameterValue,
  parseCondition,
  type TaskRecord,
  type TaskStatus,
} from "../protocol/index.js";
import { task as ownTask } from "../task/index.js";
import { alive } from "./alive.js";
import { attach } from "./attach.js";
import { uploadCode } from "./code.js";
import { connection, disconnect } from "./connection.js";
import { type Current, splitPath, startCurrent } from "./current.js";
import { keyWithin } from "./keys.js";
import { type CloneOptions, type CreateOptions, headOf, type InitOptions, specOf, type TaskReference } from "./options.js";
import { patiently } from "./patience.js";
import { leave, type RemoteOptions } from "./remote.js";
import type { Report } from "./report.js";
import { type TaskArtifact, TaskArtifacts, TaskMetrics } from "./results.js";
import { untilEnded, type WaitForOptions } from "./wait.js";

let current: Promise<Task> | undefined;
/** What `current` came to. */
let known: Task | undefined;

/**
 * A task of the fleet, as a controller sees it: found, created or cloned; changed while it is a draft; sent to a queue;
 * waited for; read. What it shows is its record as last read: `wait()`, `reload()` and each change read it again.
 *
 * Requests outlast a server that is away for up to two minutes.
 */
export class Task {
  readonly #navvy: Navvy;
  #record: TaskRecord;
  /** Made with a key, so it may have been on its way before this process was started. */
  readonly #isKeyed: boolean;
  readonly #own: Current | undefined;

  private constructor(navvy: Navvy, record: TaskRecord, parts: { isKeyed?: boolean; own?: Current } = {}) {
    this.#navvy = navvy;
    this.#record = record;
    this.#isKeyed = parts.isKeyed ?? false;
    this.#own = parts.own;
  }

  /**
   * This process's own task. Inside navvy it is the one that the agent runs (the options are defaults only). By hand it is
   * a new record that is running from now until `close()`, the end of the program, or its failure. A second call gives the
   * same task.
   * @throws NavvyError nats_unreachable, jetstream_unavailable, permission_denied
   */
  static init(options: InitOptions): Promise<Task> {
    current ??= alive(async () => {
      const navvy = await connection();
      const own = await startCurrent(navvy, options);
      return (known = new Task(navvy, own.record, { own }));
    }).catch((error: unknown) => {
      current = undefined;
      throw error;
    });
    return current;
  }

  /** Id of this process's own task, once `init` has given it; inside navvy at once. */
  static currentId(): string | undefined {
    return known?.id ?? ownTask.id;
  }

  /** @throws NavvyError not_found, with the name that was probably meant; ambiguous */
  static async get(reference: TaskReference): Promise<Task> {
    const navvy = await connection();
    return new Task(navvy, await patiently(() => navvy.tasks.get(nameOf(reference))));
  }

  /** Like `get`, but undefined when there is no such task. */
  static async find(reference: TaskReference): Promise<Task | undefined> {
    try {
      return await Task.get(reference);
    } catch (error) {
      if (isNavvyError(error, "not_found")) return undefined;
      throw error;
    }
  }

  /** A new draft: a template for clones, or a task to send. @throws NavvyError invalid_argument, too_large, not_found (code) */
  static async create(options: CreateOptions): Promise<Task> {
    const navvy = await connection();
    const code = typeof options.code === "string" ? await uploadHere(navvy, options.code) : options.code;
    const parent = await currentId();
    const spec = { ...specOf(options), ...(code ? { code } : {}) };
    const head = await keyed(navvy, headOf(options, parent));
    const record = await patiently(() => navvy.tasks.create({ ...head, name: options.name, spec }));
    return new Task(navvy, record, { isKeyed: options.key !== undefined }).#sentTo(options.queue);
  }

  /**
   * A draft with the template's specification and this process's task as its parent. With `key` a controller that runs
   * again gets the clone of the first time, wherever that has got to.
   * @throws NavvyError not_found, invalid_argument
   */
  static async clone(template: Task | TaskReference, options: CloneOptions = {}): Promise<Task> {
    const navvy = await connection();
    const parent = await currentId();
    const reference = template instanceof Task ? template.id : nameOf(template);
    const head = await keyed(navvy, headOf(options, parent));
    const record = await patiently(() => navvy.tasks.clone(reference, { ...head, spec: specOf(options) }));
    return new Task(navvy, record, { isKeyed: options.key !== undefined }).#sentTo(options.queue);
  }

  /** `task.enqueue(queue)` in the words of ClearML. */
  static enqueue(task: Task, queue: string): Promise<Task> {
    return task.enqueue(queue);
  }

  get id(): string {
    return this.#record.id;
  }
  get name(): string {
    return this.#record.name;
  }
  get project(): string {
    return this.#record.project;
  }
  get status(): TaskStatus {
    return this.#record.status;
  }
  /** Whether it has ended well. */
  get isCompleted(): boolean {
    return this.#record.status === "completed" || this.#record.status === "published";
  }
  /** How the latest attempt ended; undefined before that. */
  get outcome(): Outcome | undefined {
    return this.#record.outcome;
  }
  /** The whole record, as last read. */
  get record(): Readonly<TaskRecord> {
    return this.#record;
  }
  /** The results that it reported by name. */
  get outputs(): Record<string, ParameterValue> {
    return this.#record.reported.outputs;
  }
  get metrics(): TaskMetrics {
    return new TaskMetrics(this.#navvy, this.#record);
  }
  /**
   * Whether what it has reported, as last read, meets a condition: `val/acc.max > 0.9 and epoch >= 10`. What was not reported meets
   * none. @throws NavvyError invalid_argument, with a caret below the place
   */
  meets(condition: string): boolean {
    return parseCondition(condition).meets(this.#record);
  }
  get artifacts(): TaskArtifacts {
    return new TaskArtifacts(this.#navvy, this.#record);
  }

  /** Reports of this process's own task. @throws NavvyError illegal_move for any other: only a task itself reports */
  get log(): Report {
    if (this.#own) return this.#own.report;
    throw new NavvyError(
      "illegal_move",
      `task ${this.id} (${this.name}) is not this process's own, so only its own program can report for it`,
      {
        fix: "use the task that Task.init() gives",
      },
    );
  }

  /** One parameter by `Section/name` (a bare name is in General); the default when it is not set. */
  getParameter(path: string): ParameterValue | undefined;
  getParameter<T extends ParameterValue>(path: string, otherwise: T): T;
  getParameter(path: string, otherwise?: ParameterValue): ParameterValue | undefined {
    const [section, name] = splitPath(path);
    return this.#record.spec.parameters[section]?.[name] ?? otherwise;
  }

  /** Sets parameters of a draft by `Section/name`. @throws NavvyError not_draft, invalid_argument (no section) */
  setParameters(values: Record<string, ParameterValue>): Promise<Task> {
    return this.#editing(() => this.#navvy.tasks.setParameters(this.id, values));
  }

  /** Gives a draft a file of another task: it will lie at `$NAVVY_INPUTS/<name>`. @throws NavvyError not_draft */
  setInput(name: string, artifact: TaskArtifact): Promise<Task> {
    const input = artifact.asInput;
    return this.#editing(() =>
      this.#navvy.tasks.edit(
        this.id,
        (draft) => ({ ...draft, spec: { ...draft.spec, inputs: { ...draft.spec.inputs, [name]: input } } }),
        `set input ${name}`,
      ),
    );
  }

  /**
   * Sends a draft to a queue. A task with a key that is on its way already (a controller that runs again) stays as it is.
   * @throws NavvyError illegal_move, not_found (a queue that looks like a slip), invalid_argument (nothing to run)
   */
  async enqueue(queue: string): Promise<Task> {
    this.#record = await attach(this.#navvy, this.#record, { queue, isKeyed: this.#isKeyed });
    return this;
  }

  /**
   * Waits until it has ended, however; look at `status` then. Woken by changes, over restarts of NATS.
   * @throws NavvyError timeout, aborted (this process was asked to end), not_found (deleted meanwhile)
   */
  async wait(options: WaitForOptions = {}): Promise<Task> {
    this.#record = await untilEnded(this.#navvy, this.id, options);
    return this;
  }

  /**
   * Waits until what it has reported meets a condition (`val/acc.max > 0.9`), or it has ended without: `meets` tells which. Woken by
   * changes. @throws NavvyError invalid_argument (the condition), timeout, aborted, not_found
   */
  async waitFor(condition: string, options: WaitForOptions = {}): Promise<Task> {
    const parsed = parseCondition(condition);
    this.#record = await untilEnded(this.#navvy, this.id, {
      ...options,
      until: (record) => parsed.meets(record) || isEnded(record.status),
    });
    return this;
  }

  /** Reads the record again. */
  async reload(): Promise<Task> {
    this.#record = await patiently(() => this.#navvy.tasks.get(this.id));
    return this;
  }

  /** Asks for its end: a queued task ends at once, a running one within its grace; `wait()` tells when. */
  async abort(reason = "aborted by its controller"): Promise<Task> {
    this.#record = (await alive(() => this.#navvy.tasks.abort(this.id, { reason }))).task;
    return this;
  }

  /**
   * Runs this program on the fleet instead of here: packs its folder, sends it to the queue as a task of type controller,
   * says so, and ends this process with 0. Inside navvy it returns at once, so the same program goes on there.
   * @throws NavvyError invalid_argument (a program that can not be packed), not_found, too_large
   */
  async executeRemotely(queue = "services", options: RemoteOptions = {}): Promise<void> {
    const local = this.#own?.local;
    if (local) await leave(this.#navvy, local, { ...options, queue });
  }

  /** Ends this process's own task by hand, as completed, and closes the connection. Inside navvy the agent settles it. */
  async close(): Promise<void> {
    await alive(async () => this.#own?.local?.settle({ kind: "exited", code: 0 }));
    if (this.#own) current = known = undefined;
    await disconnect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #sentTo(queue: string | undefined): Promise<Task> {
    return queue === undefined ? this : this.enqueue(queue);
  }

  /** What a controller set before it was lost stays: its child may run with it already. */
  async #editing(edit: () => Promise<TaskRecord>): Promise<Task> {
    try {
      this.#record = await patiently(edit);
    } catch (error) {
      if (!this.#isKeyed || !isNavvyError(error, "not_draft")) throw error;
      await this.reload();
    }
    return this;
  }
}

const nameOf = (reference: TaskReference) =>
  typeof reference === "string" ? reference : reference.project === undefined ? reference.name : `${reference.project}/${reference.name}`;

const currentId = async () => (await current)?.id;

async function keyed<T extends { key?: string; parent?: string }>(navvy: Navvy, head: T): Promise<T> {
  return head.key === undefined ? head : { ...head, key: await keyWithin(navvy, head.parent, head.key) };
}

const uploadHere = (navvy: Navvy, folder: string) => alive(() => uploadCode(navvy, folder));
