import type { Navvy, Watch } from "../../broker/index.js";
import type { TaskHead } from "../../protocol/index.js";

/** Every queued and running task, fed by one watch while this agent leads. */
export class OpenTasks {
  readonly #tasks = new Map<string, TaskHead>();
  readonly #onChange: (task: TaskHead) => void;
  #isComplete = false;
  #watch: Watch | undefined;

  private constructor(onChange: (task: TaskHead) => void) {
    this.#onChange = onChange;
  }

  static async open(navvy: Navvy, onChange: (task: TaskHead) => void): Promise<OpenTasks> {
    const open = new OpenTasks(onChange);
    open.#watch = await navvy.tasks.watchHeads({
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

  running(): TaskHead[] {
    return [...this.#tasks.values()].filter((task) => task.status === "running");
  }

  queued(): TaskHead[] {
    return [...this.#tasks.values()].filter((task) => task.status === "queued");
  }

  close(): void {
    this.#watch?.close();
  }

  #take(task: TaskHead): void {
    if (task.status !== "queued" && task.status !== "running") return void this.#tasks.delete(task.id);
    this.#tasks.set(task.id, task);
    this.#onChange(task);
  }
}
