import type { Logger } from "pino";
import type { Navvy, Scheduled, Watch } from "../../broker/index.js";
import { isNavvyError } from "../../protocol/index.js";

/** The clock may be set, and a machine may sleep: so long at most until it is looked at again. */
const LOOK_AGAIN_MS = 60_000;
const RETRY_MS = 2_000;
/** Schedules that are brought up to date at the same time. */
const AT_ONCE = 8;

export interface TimetableParts {
  navvy: Pick<Navvy, "schedules">;
  log: Logger;
  /** The time in milliseconds since 1970. Default: this machine's. */
  now?: () => number;
}

/** A schedule, and when it is due next: to read that out of an expression takes a while. */
interface Entry extends Scheduled {
  next: number;
}

/**
 * Runs the schedules while this agent leads: one timer for the next that is due, and a watch on their entries. Level-triggered: who takes
 * office brings every schedule up to date, so what fell due meanwhile and what a dead leader had begun is found.
 */
export class Timetable {
  readonly #parts: TimetableParts;
  readonly #entries = new Map<string, Entry>();
  /** Of schedules with runs that wait: the task that they wait for → the schedule. */
  readonly #awaited = new Map<string, string>();
  /** What is to be brought up to date, in turn, and what is under way. */
  readonly #asked = new Set<string>();
  readonly #underWay = new Set<string>();
  readonly #retries = new Set<NodeJS.Timeout>();
  #isReady = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;
  #watch: Watch | undefined;

  private constructor(parts: TimetableParts) {
    this.#parts = parts;
  }

  static async open(parts: TimetableParts): Promise<Timetable> {
    const table = new Timetable(parts);
    table.#watch = await parts.navvy.schedules.watch({
      onPage: (name, scheduled) => table.#take(name, scheduled),
      onReady: () => table.#lookAtAll(),
      onUnreadable: (name, error) => parts.log.warn({ err: error, schedule: name }, "a schedule can not be read: it is left alone"),
    });
    return table;
  }

  /** A task has ended, or is gone: a run may have waited for it. */
  taskEnded(id: string): void {
    const name = this.#awaited.get(id);
    if (name !== undefined) this.#ask(name);
  }

  close(): void {
    this.#isClosed = true;
    this.#watch?.close();
    clearTimeout(this.#timer);
    for (const retry of this.#retries) clearTimeout(retry);
  }

  #take(name: string, scheduled: Scheduled | undefined): void {
    const before = this.#entries.get(name)?.state.last;
    if (before && this.#awaited.get(before.task) === name) this.#awaited.delete(before.task);
    if (scheduled === undefined) this.#entries.delete(name);
    else {
      const next = this.#parts.navvy.schedules.nextOf(scheduled) ?? Number.POSITIVE_INFINITY;
      this.#entries.set(name, { ...scheduled, next });
      const { waiting, last } = scheduled.state;
      if (waiting.length > 0 && last) this.#awaited.set(last.task, name);
    }
    if (!this.#isReady) return;
    const now = this.#now();
    this.#look(name, now);
    this.#arm(now);
  }

  /** Every entry was seen, once more after each reconnect. */
  #lookAtAll(): void {
    this.#isReady = true;
    const now = this.#now();
    for (const name of this.#entries.keys()) this.#look(name, now);
    this.#arm(now);
  }

  #look(name: string, now: number): void {
    const entry = this.#entries.get(name);
    if (entry && (entry.next <= now || entry.state.waiting.length > 0)) this.#ask(name);
  }

  /** @param now that was looked at: what falls due after it is not missed in between */
  #arm(now: number): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    let delayMs = LOOK_AGAIN_MS;
    for (const { next } of this.#entries.values()) {
      if (next > now) delayMs = Math.min(delayMs, next - now); // else it is under way
    }
    this.#timer = setTimeout(() => this.#lookAtAll(), delayMs);
    this.#timer.unref();
  }

  #ask(name: string): void {
    this.#asked.add(name);
    this.#turn();
  }

  #turn(): void {
    for (const name of this.#asked) {
      if (this.#isClosed || this.#underWay.size >= AT_ONCE) return;
      if (this.#underWay.has(name)) continue; // once more when that is over
      this.#asked.delete(name);
      this.#underWay.add(name);
      void this.#advance(name).finally(() => {
        this.#underWay.delete(name);
        this.#turn();
      });
    }
  }

  async #advance(name: string): Promise<void> {
    const { navvy, log } = this.#parts;
    try {
      await navvy.schedules.advance(name, this.#now());
    } catch (error) {
      if (this.#isClosed) return;
      // With the server away there is nothing to say that others do not say already.
      if (!isNavvyError(error) || !error.retryable)
        log.warn({ err: error, schedule: name }, "a schedule could not be run; it is tried again");
      const retry = setTimeout(() => (this.#retries.delete(retry), this.#ask(name)), RETRY_MS);
      this.#retries.add(retry.unref());
    }
  }

  #now(): number {
    return this.#parts.now?.() ?? Date.now();
  }
}
