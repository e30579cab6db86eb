import { isEnded, type TaskRecord } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import { figure } from "../../output/quantities.js";
import { shortId, stateWord } from "../../output/words.js";
import { findTask } from "../../references.js";
import { agentOf, stateOf } from "../task/view.js";
import { fired, showUnreadable, untilInterrupted } from "./until-interrupted.js";

/** `navvy watch tasks`: changes from now on. */
export const watchTasks: Handler = async (call) => {
  const navvy = await call.navvy();
  await untilInterrupted(async (signal) => {
    const seen = new Map<string, number>();
    let isLive = false;
    const watch = await navvy.tasks.watch(">", {
      onReady: () => void (isLive = true),
      onTask: (task, revision) => {
        // After a reconnect all come once more.
        const isNews = isLive && seen.get(task.id) !== revision;
        seen.set(task.id, revision);
        if (isNews) showTask(call, task);
      },
      onGone: (id) => {
        if (isLive && seen.delete(id)) call.out.event("task-deleted", { id }, () => `${shortId(id)}  deleted`);
      },
      onUnreadable: (id, error) => showUnreadable(call, `tasks/${id}`, error),
    });
    await fired(signal);
    watch.close();
  });
};

/** `navvy watch task TASK`: its changes and metrics, until it has ended. */
export const watchTask: Handler<[string]> = async (call, reference) => {
  const navvy = await call.navvy();
  const task = await findTask(call, reference);
  await untilInterrupted(async (signal) => {
    const over = new AbortController();
    signal.addEventListener("abort", () => over.abort(), { once: true });
    const metrics = new MetricsFollower(call, over.signal);
    let last = 0;
    const watch = await navvy.tasks.watch(task.id, {
      onTask: (record, revision) => {
        if (revision <= last) return;
        last = revision;
        showTask(call, record);
        metrics.see(record);
        if (isEnded(record.status)) over.abort();
      },
      onGone: () => over.abort(),
      onUnreadable: (id, error) => showUnreadable(call, `tasks/${id}`, error),
    });
    await fired(over.signal);
    watch.close();
    await metrics.done();
  });
};

/** Shows the points of each attempt as they come. */
class MetricsFollower {
  readonly #call: Call<unknown>;
  readonly #signal: AbortSignal;
  readonly #following = new Map<number, Promise<void>>();

  constructor(call: Call<unknown>, signal: AbortSignal) {
    this.#call = call;
    this.#signal = signal;
  }

  see(task: TaskRecord): void {
    if (task.attempt === 0 || this.#following.has(task.attempt) || isEnded(task.status)) return;
    this.#following.set(task.attempt, this.#follow({ id: task.id, attempt: task.attempt }));
  }

  async done(): Promise<void> {
    await Promise.all(this.#following.values());
  }

  async #follow(target: { id: string; attempt: number }): Promise<void> {
    const navvy = await this.#call.navvy();
    try {
      for await (const points of navvy.metrics.read(target, { follow: true, signal: this.#signal })) {
        for (const point of points)
          this.#call.out.event(
            "point",
            { ...target, ...point },
            () => `${shortId(target.id)}  ${point.key} ${figure(point.value)} at step ${point.step}`,
          );
      }
    } catch (error) {
      showUnreadable(this.#call, `metrics of ${target.id}`, error);
    }
  }
}

function showTask(call: Call<unknown>, task: TaskRecord): void {
  const state = stateWord(task.status === "running" ? (task.phase ?? "running") : stateOf(task));
  const where = task.status === "running" ? ` on ${agentOf(task)}` : task.status === "queued" ? ` on ${task.queue}` : "";
  call.out.event("task", task, () => `${task.changedAt.slice(11, 19)} ${shortId(task.id)}  ${task.name}  ${state}${where}  ${task.reason}`);
}
