import type { Navvy, Watch } from "../../broker/index.js";
import type { TaskHead } from "../../protocol/index.js";

/** Every queued and running task, fed by one watch while this agent leads. */
export class OpenTasks {
  readonly #tasks = new Map<string, TaskHead>();
  readonly #onChange: (task: TaskHead) => void;
  readonly #onEnded: (id: string) => void;
  #isComplete = false;
  #watch: Watch | undefined;

  private constructor(onChange: (task: TaskHead) => void, onEnded: (id: string) => void) {
    this.#onChange = onChange;
    this.#onEnded = onEnded;
  }

  /** @param onEnded told of every task that is not open (any more), also of those that never were while this agent led */
  static async open(navvy: Navvy, onChange: (task: TaskHead) => void, onEnded: (id: string) => void = () => {}): Promise<OpenTasks> {
    const open = new OpenTasks(onChange, onEnded);
    open.#watch = await navvy.tasks.watchHeads({
      onTask: (task) => open.#take(task),
      onGone: (id) => open.#drop(id),
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
    if (task.status !== "queued" && task.status !== "running") return this.#drop(task.id);
    this.#tasks.set(task.id, task);
    this.#onChange(task);
  }

  #drop(id: string): void {
    this.#tasks.delete(id);
    this.#onEnded(id);
  }
}
