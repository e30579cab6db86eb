import type { Navvy, Watch } from "../../broker/index.js";
import type { TaskRecord } from "../../protocol/index.js";

/** The little of a record that the duties need. */
export type OpenTask = Pick<
  TaskRecord,
  "id" | "status" | "owner" | "ticket" | "queue" | "class" | "shape" | "notBefore" | "enqueuedAt" | "attempt"
>;

/** Every queued and running task, fed by one watch while this agent leads. */
export class OpenTasks {
  readonly #tasks = new Map<string, OpenTask>();
  readonly #onChange: (task: OpenTask) => void;
  #isComplete = false;
  #watch: Watch | undefined;

  private constructor(onChange: (task: OpenTask) => void) {
    this.#onChange = onChange;
  }

  static async open(navvy: Navvy, onChange: (task: OpenTask) => void): Promise<OpenTasks> {
    const open = new OpenTasks(onChange);
    open.#watch = await navvy.tasks.watch(">", {
      onTask: (task) => open.#take(task),
      onGone: (id) => void open.#tasks.delete(id),
      onReady: () => void (open.#isComplete = true),
    });
    return open;
  }

  /** False until every record was seen once. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  running(): OpenTask[] {
    return [...this.#tasks.values()].filter((task) => task.status === "running");
  }

  queued(): OpenTask[] {
    return [...this.#tasks.values()].filter((task) => task.status === "queued");
  }

  close(): void {
    this.#watch?.close();
  }

  #take(record: TaskRecord): void {
    if (record.status !== "queued" && record.status !== "running") return void this.#tasks.delete(record.id);
    const { id, status, owner, ticket, queue, class: name, shape, notBefore, enqueuedAt, attempt } = record;
    const task = { id, status, owner, ticket, queue, class: name, shape, notBefore, enqueuedAt, attempt };
    this.#tasks.set(id, task);
    this.#onChange(task);
  }
}
