import { type Beat, isEnded, type QueueRecord, type TaskRecord } from "../../../protocol/index.js";

/** An agent that has not been heard of for so long is shown as gone. */
const GONE_AFTER_MS = 10_000;
/** And after so long it is not shown any more. */
const FORGET_AFTER_MS = 300_000;

/** What `top` shows, gathered from beats and watches. */
export class FleetState {
  readonly #beats = new Map<string, { beat: Beat; seenMs: number }>();
  readonly #tasks = new Map<string, TaskRecord>();
  readonly #queues = new Map<string, QueueRecord>();

  seeBeat(beat: Beat, nowMs: number): void {
    this.#beats.set(beat.agent, { beat, seenMs: nowMs });
  }

  seeTask(task: TaskRecord): void {
    this.#tasks.set(task.id, task);
  }

  dropTask(id: string): void {
    this.#tasks.delete(id);
  }

  seeQueue(queue: QueueRecord): void {
    this.#queues.set(queue.name, queue);
  }

  dropQueue(name: string): void {
    this.#queues.delete(name);
  }

  /** Agents by name. */
  agents(nowMs: number): { beat: Beat; isGone: boolean }[] {
    for (const [name, { seenMs }] of this.#beats) if (nowMs - seenMs > FORGET_AFTER_MS) this.#beats.delete(name);
    const all = [...this.#beats.values()].map(({ beat, seenMs }) => ({ beat, isGone: nowMs - seenMs > GONE_AFTER_MS }));
    return all.sort((a, b) => a.beat.agent.localeCompare(b.beat.agent));
  }

  queues(): { queue: QueueRecord; waiting: TaskRecord[] }[] {
    const queued = [...this.#tasks.values()].filter((task) => task.status === "queued" && !task.parked);
    const all = [...this.#queues.values()].map((queue) => ({ queue, waiting: queued.filter((task) => task.queue === queue.name) }));
    return all.sort((a, b) => a.queue.name.localeCompare(b.queue.name));
  }

  /** Running ones first, then waiting ones, then what ended last. */
  tasks(): TaskRecord[] {
    const rank = (task: TaskRecord) =>
      task.status === "running" ? 0 : task.status === "queued" && !task.parked ? 1 : isEnded(task.status) ? 3 : 2;
    const shown = [...this.#tasks.values()].filter((task) => task.status !== "draft" && !task.archived);
    return shown.sort((a, b) => rank(a) - rank(b) || b.changedAt.localeCompare(a.changedAt));
  }
}
