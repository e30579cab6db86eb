import type { Navvy, Watch } from "../../broker/index.js";
import type { TaskHead } from "../../protocol/index.js";

export interface OpenTasksHandlers {
  /** A queued or running task has changed, or is seen for the first time. */
  onChange: (task: TaskHead) => void;
  /** A task has ended, or is gone (without a head). */
  onOver?: (id: string, task?: TaskHead) => void;
  /** Every record was seen; again after each reconnect. */
  onComplete?: () => void;
}

/** Every queued and running task, fed by one watch while this agent leads. */
export class OpenTasks {
  readonly #tasks = new Map<string, TaskHead>();
  readonly #drafts = new Set<string>();
  readonly #handlers: OpenTasksHandlers;
  #isComplete = false;
  #watch: Watch | undefined;

  private constructor(handlers: OpenTasksHandlers) {
    this.#handlers = handlers;
  }

  static async open(navvy: Pick<Navvy, "tasks">, handlers: OpenTasksHandlers): Promise<OpenTasks> {
    const open = new OpenTasks(handlers);
    open.#watch = await navvy.tasks.watchHeads({
      onTask: (task) => open.#take(task),
      onGone: (id) => open.#over(id),
      onReady: () => {
        open.#isComplete = true;
        handlers.onComplete?.();
      },
    });
    return open;
  }

  /** False until every record was seen once. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Whether a task has ended or is gone: it is neither open nor a draft. Only once every record was seen. */
  isOver(id: string): boolean {
    return this.#isComplete && !this.#tasks.has(id) && !this.#drafts.has(id);
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
    const { id, status } = task;
    if (status !== "queued" && status !== "running" && status !== "draft") return this.#over(id, task);
    if (status === "draft") {
      this.#tasks.delete(id);
      this.#drafts.add(id);
      return;
    }
    this.#drafts.delete(id);
    this.#tasks.set(id, task);
    this.#handlers.onChange(task);
  }

  #over(id: string, task?: TaskHead): void {
    this.#tasks.delete(id);
    this.#drafts.delete(id);
    this.#handlers.onOver?.(id, task);
  }
}
