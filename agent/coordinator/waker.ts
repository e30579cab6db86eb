import type { Logger } from "pino";
import type { Navvy } from "../../broker/index.js";
import { isNavvyError, type TaskHead } from "../../protocol/index.js";
import type { OpenTasks } from "./open-tasks.js";

/** Wakes that are under way at the same time: thousands may wait for one task. */
const AT_ONCE = 16;
/** Node's timers end at 2^31 ms; a longer wait is a pass's to end. */
const LONGEST_MS = 2 ** 31 - 1;

interface Waiting {
  task: TaskHead;
  timer?: NodeJS.Timeout;
}

/**
 * Wakes parked tasks: when one that they wait for has ended (or all have), or at their time. Kept by the awaited ids, so a change of a
 * task that nobody waits for costs one look. Level-triggered: what was missed, or could not be written, is seen by the next pass. Each
 * wake is a compare-and-set on the ticket under which the task is parked, so two leaders do no harm.
 */
export class Waker {
  readonly #navvy: Pick<Navvy, "tasks" | "bus">;
  readonly #log: Logger;
  readonly #parked = new Map<string, Waiting>();
  readonly #waiters = new Map<string, Set<string>>();
  /** Why, by task. */
  readonly #due = new Map<string, string>();
  #underWay = 0;
  #open: Pick<OpenTasks, "isComplete" | "isOver"> | undefined;

  constructor(navvy: Pick<Navvy, "tasks" | "bus">, log: Logger) {
    this.#navvy = navvy;
    this.#log = log;
  }

  /** Takes note of an open task: whether it is parked, and for what. */
  consider(task: TaskHead): void {
    this.#forget(task.id);
    const { parked } = task;
    if (task.status !== "queued" || !parked) return;
    const waiting: Waiting = { task };
    this.#parked.set(task.id, waiting);
    for (const id of parked.on) this.#waiters.set(id, (this.#waiters.get(id) ?? new Set()).add(task.id));
    if (parked.until !== undefined) {
      const delayMs = Math.min(Math.max(Date.parse(parked.until) - Date.now(), 0) + 2, LONGEST_MS);
      waiting.timer = setTimeout(() => this.#look(waiting), delayMs);
    }
    this.#look(waiting);
  }

  /** A task has ended, or is gone. */
  over(id: string): void {
    this.#forget(id);
    for (const waiter of this.#waiters.get(id) ?? []) {
      const waiting = this.#parked.get(waiter);
      if (waiting) this.#look(waiting, id);
    }
  }

  /** Looks at every parked task again. */
  pass(open: Pick<OpenTasks, "isComplete" | "isOver">): void {
    this.#open = open;
    for (const waiting of this.#parked.values()) this.#look(waiting);
  }

  close(): void {
    for (const { timer } of this.#parked.values()) clearTimeout(timer);
    this.#parked.clear();
    this.#waiters.clear();
    this.#due.clear();
  }

  /** @param ended that has just ended, whatever is known of it otherwise */
  #look({ task }: Waiting, ended?: string): void {
    const { on = [], all = false, until } = task.parked ?? {};
    const isOver = (id: string) => id === ended || this.#open?.isOver(id) === true;
    const over = on.filter(isOver);
    if (on.length > 0 && (all ? over.length === on.length : over.length > 0))
      return this.#wake(task, over.length > 1 ? `the ${over.length} tasks that it waits for have ended` : `task ${over[0]} has ended`);
    if (until !== undefined && Date.parse(until) <= Date.now()) this.#wake(task, `its time has come: ${until}`);
  }

  #wake(task: TaskHead, reason: string): void {
    this.#due.set(task.id, reason);
    while (this.#underWay < AT_ONCE && this.#due.size > 0) {
      this.#underWay++;
      void this.#drain().finally(() => this.#underWay--);
    }
  }

  async #drain(): Promise<void> {
    for (let next = this.#next(); next; next = this.#next()) {
      const { task, reason } = next;
      try {
        await this.#navvy.tasks.claims.unpark(task.id, { reason, by: this.#navvy.bus.actor, ticket: task.ticket });
      } catch (error) {
        if (isNavvyError(error) && error.retryable) continue; // the next pass tries again
        this.#log.error({ err: error, task: task.id }, "a parked task could not be woken");
      }
    }
  }

  #next(): { task: TaskHead; reason: string } | undefined {
    for (const [id, reason] of this.#due) {
      this.#due.delete(id);
      const task = this.#parked.get(id)?.task;
      if (task) return { task, reason };
    }
    return undefined;
  }

  #forget(id: string): void {
    const known = this.#parked.get(id);
    if (!known) return;
    clearTimeout(known.timer);
    this.#parked.delete(id);
    for (const each of known.task.parked?.on ?? []) {
      const waiters = this.#waiters.get(each);
      waiters?.delete(id);
      if (waiters?.size === 0) this.#waiters.delete(each);
    }
  }
}
