import type { Logger } from "pino";
import type { Navvy } from "../../broker/index.js";
import { isNavvyError, type TaskHead } from "../../protocol/index.js";
import type { OpenTasks } from "./open-tasks.js";

/** Clocks may differ by as much. */
const SLACK_MS = 5_000;

/**
 * Aborts the open children of tasks that have ended as aborted and whose program said so (`childrenOnAbort`): also of one that was
 * parked, was killed at the end of its grace, or never came to do it itself. Children that someone enqueued later are left alone.
 */
export class ChildAborter {
  readonly #navvy: Pick<Navvy, "tasks">;
  readonly #log: Logger;
  /** When each such parent ended. */
  readonly #aborted = new Map<string, number>();
  /** Asked already, with the ticket that they had. */
  readonly #asked = new Map<string, number>();

  constructor(navvy: Pick<Navvy, "tasks">, log: Logger) {
    this.#navvy = navvy;
    this.#log = log;
  }

  /** Takes note of an open task. */
  consider(task: TaskHead): void {
    this.#aborted.delete(task.id);
    if (this.#isMeant(task)) this.#abort(task);
  }

  /** A task has ended, or is gone. */
  over(id: string, task: TaskHead | undefined, open: Pick<OpenTasks, "running" | "queued"> | undefined): void {
    this.#asked.delete(id);
    if (task?.status !== "aborted" || task.childrenOnAbort !== "abort") return void this.#aborted.delete(id);
    this.#aborted.set(id, Date.parse(task.endedAt ?? ""));
    if (open) this.pass(open);
  }

  /** Looks at every open task again. */
  pass(open: Pick<OpenTasks, "running" | "queued">): void {
    if (this.#aborted.size === 0) return;
    for (const task of [...open.running(), ...open.queued()]) if (this.#isMeant(task)) this.#abort(task);
  }

  #isMeant({ id, parent, enqueuedAt, ticket }: TaskHead): boolean {
    const endedAt = this.#aborted.get(parent ?? "");
    if (endedAt === undefined || this.#asked.get(id) === ticket) return false;
    return Date.parse(enqueuedAt ?? "") <= endedAt + SLACK_MS;
  }

  #abort({ id, ticket, parent }: TaskHead): void {
    this.#asked.set(id, ticket);
    this.#navvy.tasks.abort(id, { reason: `its controller ${parent} was aborted` }).catch((error: unknown) => {
      if (isNavvyError(error, "illegal_move") || isNavvyError(error, "not_found")) return; // it has ended meanwhile
      this.#asked.delete(id); // the next pass tries again
      if (!isNavvyError(error) || !error.retryable) this.#log.error({ err: error, task: id }, "a child could not be aborted");
    });
  }
}
