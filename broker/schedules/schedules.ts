import { ulid } from "ulid";
import {
  type CatchUp,
  checkName,
  closest,
  DEFAULT_CATCH_UP_LIMIT,
  type Firing,
  type Launch,
  NavvyError,
  type Overlap,
  type Schedule,
  type ScheduleState,
  type TaskRecord,
  type When,
} from "../../protocol/index.js";
import type { BookHandlers } from "../book.js";
import type { Bus } from "../bus.js";
import type { Events } from "../events.js";
import type { Queues } from "../queues.js";
import type { Tasks } from "../tasks/index.js";
import type { Watch } from "../watch.js";
import { type AdvanceParts, advance, isOpen } from "./advance.js";
import { type Scheduled, scheduleBook } from "./book.js";
import { nextOf, statusOf, whyNot } from "./decide.js";
import { launchOf } from "./scope.js";
import { nextDue, upcoming } from "./times.js";

export interface NewSchedule {
  name: string;
  when: When;
  /** A task, as people name it: each firing clones it. */
  template: string;
  launch: Omit<Launch, "template" | "templateName">;
  /** Default: skip; queue with catchUp all. */
  overlap?: Overlap;
  /** Default: last. */
  catchUp?: CatchUp;
  catchUpLimit?: number;
  until?: string;
  limit?: number;
  /** Make the queue even if its name looks like a slip of another one's. */
  createQueue?: boolean;
}

/** A schedule as people look at it. */
export interface ScheduleLook extends Scheduled {
  status: "active" | "paused" | "ended";
  /** Its next times, RFC 3339. */
  next: string[];
}

/** The verbs over schedules: what clones a template at its times. Whoever leads does it; anybody may ask for a run. */
export class Schedules {
  readonly #bus: Bus;
  readonly #queues: Queues;
  readonly #parts: AdvanceParts;

  constructor(bus: Bus, parts: { tasks: Tasks; queues: Queues; events: Events }) {
    this.#bus = bus;
    this.#queues = parts.queues;
    this.#parts = { book: scheduleBook(bus), tasks: parts.tasks, events: parts.events };
  }

  /** @throws NavvyError conflict, not_found (template, or a queue that looks like a slip), invalid_argument */
  async create(wanted: NewSchedule): Promise<Schedule> {
    const { name, when, catchUp = "last", catchUpLimit = DEFAULT_CATCH_UP_LIMIT, until, limit } = wanted;
    checkName("schedule", name);
    const overlap = wanted.overlap ?? (catchUp === "all" ? "queue" : "skip");
    const schedule: Schedule = {
      type: "navvy.schedule.v1",
      name,
      id: ulid(),
      createdAt: new Date().toISOString(),
      createdBy: this.#bus.actor,
      when,
      launch: await this.#launchOf(wanted),
      overlap,
      catchUp,
      catchUpLimit,
      ...(until === undefined ? {} : { until }),
      ...(limit === undefined ? {} : { limit }),
    };
    check(schedule);
    await this.#queues.require(schedule.launch.queue, { create: wanted.createQueue ?? false });
    if ((await this.#parts.book.definitions.create(name, schedule)) === undefined)
      throw new NavvyError("conflict", `schedule ${JSON.stringify(name)} exists already`, {
        fix: [`navvy schedule show ${name}`, `navvy schedule rm ${name}`],
      });
    this.#told(name, "created", "created");
    return schedule;
  }

  /** @throws NavvyError not_found, with the name that was probably meant */
  async get(name: string): Promise<ScheduleLook> {
    return look(await this.#find(name), 10);
  }

  async list(onUnreadable?: (key: string, error: unknown) => void): Promise<ScheduleLook[]> {
    return (await this.#parts.book.list(onUnreadable)).map((each) => look(each, 3));
  }

  /** Nothing is due until it is resumed; what has begun goes on. */
  async pause(name: string, reason: string): Promise<void> {
    const paused = { at: new Date().toISOString(), by: this.#bus.actor, reason };
    await this.#change(name, (schedule) => ({ ...schedule, paused }));
    this.#told(name, "paused", reason);
  }

  /** Ends a pause: what was due in it is not made up for. */
  async resume(name: string): Promise<void> {
    const { schedule } = await this.#find(name);
    if (schedule.paused) await this.#decideTo(name, new Date().toISOString());
    await this.#change(name, ({ paused: _paused, ...rest }) => rest);
    this.#told(name, "resumed", "resumed");
  }

  async delete(name: string): Promise<void> {
    await this.#find(name);
    await this.#parts.book.delete(name);
    this.#told(name, "deleted", "deleted");
  }

  /**
   * One more run, now; also of a schedule that is paused or over.
   * @returns its task; undefined while it waits for the last run to end
   * @throws NavvyError illegal_move while the last run has not ended, where the schedule skips then
   */
  async runNow(name: string): Promise<{ firing: Firing; task?: TaskRecord }> {
    const firing = await this.#ask(name);
    await this.advance(name);
    const { state } = await this.#find(name);
    const task = state.last?.key === firing.key ? await this.#parts.tasks.get(state.last.task) : undefined;
    if (!task && state.trouble && !state.waiting.some(({ key }) => key === firing.key))
      throw new NavvyError("not_found", `schedule ${name} could not run: ${state.trouble.message}`, { fix: `navvy schedule show ${name}` });
    return { firing, ...(task ? { task } : {}) };
  }

  /** Whoever leads: decides and does what is due. Several at once do no harm. */
  advance(name: string, now: number = Date.now()): Promise<void> {
    return advance(this.#parts, name, now);
  }

  watch(handlers: BookHandlers<Scheduled>): Promise<Watch> {
    return this.#parts.book.watch(handlers);
  }

  /** When it is due next, in milliseconds since 1970. */
  nextOf({ schedule, state }: Scheduled): number | undefined {
    return nextOf(schedule, state);
  }

  async #launchOf({ template, launch }: NewSchedule): Promise<Launch> {
    const task = await this.#parts.tasks.get(template);
    if (task.spec.command.length === 0)
      throw new NavvyError("invalid_argument", `task ${task.id} has no command, so there is nothing to run`, {
        fix: `navvy task edit ${task.id.slice(-8)} -- COMMAND …`,
      });
    return { ...launch, template: task.id, templateName: task.name };
  }

  async #ask(name: string): Promise<Firing> {
    const at = new Date().toISOString();
    for (;;) {
      const { schedule, state, revision } = await this.#find(name);
      const why = whyNot(schedule, state, schedule.overlap === "skip" && (await isOpen(this.#parts.tasks, state)));
      if (why !== undefined)
        throw new NavvyError("illegal_move", `schedule ${name} does not run now: ${why}`, {
          why: `it runs one at a time (--overlap ${schedule.overlap})`,
          fix: [
            `navvy task abort ${state.last?.task.slice(-8) ?? "TASK"}`,
            `navvy task clone ${schedule.launch.template.slice(-8)} --enqueue`,
          ],
        });
      const firing: Firing = { key: `asked.${ulid()}`, at, run: state.runs + 1, by: this.#bus.actor };
      const next = { ...state, runs: firing.run, waiting: [...state.waiting, firing], changedAt: at };
      if (await this.#parts.book.write(name, next, revision)) return firing;
    }
  }

  async #decideTo(name: string, decidedTo: string): Promise<void> {
    for (;;) {
      const { state, revision } = await this.#find(name);
      const next: ScheduleState = { ...state, decidedTo, changedAt: decidedTo };
      if (await this.#parts.book.write(name, next, revision)) return;
    }
  }

  async #change(name: string, change: (schedule: Schedule) => Schedule): Promise<void> {
    if (!(await this.#parts.book.definitions.modify(checkName("schedule", name), change))) throw await this.#unknown(name);
  }

  async #find(name: string): Promise<Scheduled & { revision: number }> {
    const found = await this.#parts.book.get(checkName("schedule", name));
    if (found) return found;
    throw await this.#unknown(name);
  }

  async #unknown(name: string): Promise<NavvyError> {
    const names = (await this.#parts.book.list()).map(({ schedule }) => schedule.name);
    const meant = closest(name, names);
    return new NavvyError("not_found", `there is no schedule ${JSON.stringify(name)}${meant ? `; did you mean ${meant}?` : ""}`, {
      fix: "navvy schedule ls",
    });
  }

  #told(name: string, event: string, reason: string): void {
    this.#parts.events.emit({ kind: "schedule", id: name, event, reason });
  }
}

function look(scheduled: Scheduled, count: number): ScheduleLook {
  const { schedule, state } = scheduled;
  const status = statusOf(schedule, state);
  const left = schedule.limit === undefined ? count : Math.min(count, schedule.limit - state.timed);
  const next = status === "active" ? upcoming(schedule, Date.parse(state.decidedTo), left) : [];
  return { schedule, state, status, next: next.map((time) => new Date(time).toISOString()) };
}

/** @throws NavvyError invalid_argument */
function check(schedule: Schedule): void {
  const { when, until, overlap, catchUp, createdAt } = schedule;
  launchOf(schedule, { at: createdAt, run: 1 });
  if (when.kind === "once" && when.at <= createdAt)
    throw new NavvyError("invalid_argument", `${when.at} is past`, {
      fix: "a time that is to come: --at 2h, or --at 2030-01-01T12:00:00Z",
    });
  if (until !== undefined && until <= createdAt)
    throw new NavvyError("invalid_argument", `it would end before it begins: ${until} is past`, { fix: "--until with a time to come" });
  if (when.kind === "interval" && when.everyMs < 1_000)
    throw new NavvyError("invalid_argument", "an interval is a second at least", { fix: "--every 1s" });
  if (nextDue(schedule, Date.parse(createdAt)) === undefined)
    throw new NavvyError("invalid_argument", `it would never run: it ends at ${until}, before it is due for the first time`);
  if (catchUp === "all" && overlap === "skip")
    throw new NavvyError("invalid_argument", "runs that are made up for all at once would skip each other", {
      fix: ["--overlap queue: one after the other", "--overlap parallel: all at once"],
    });
}
