import type { Logger } from "pino";
import { DEFAULT_LEASE_MS, Leadership, type Navvy } from "../../broker/index.js";
import { isNavvyError, type Owner } from "../../protocol/index.js";
import { ChildAborter } from "./child-aborter.js";
import { Collector } from "./collector.js";
import { Ghosts } from "./ghosts.js";
import { HashedLanes } from "./hashed-lanes.js";
import { OpenTasks } from "./open-tasks.js";
import { Reaper } from "./reaper.js";
import { Roller } from "./roller.js";
import { Scheduler } from "./scheduler.js";
import { Sweeper } from "./sweeper.js";
import { Timetable } from "./timetable.js";
import { Tripwires } from "./tripwires.js";
import { Waker } from "./waker.js";

export interface CoordinatorParts {
  navvy: Navvy;
  log: Logger;
  leaseMs: number;
  owner: () => Owner;
}

const SWEEP_EVERY_MS = 5_000;
const LANES_EVERY_MS = 60_000;

/**
 * The duties of the fleet, done by whichever agent holds the leader's key: reaper, sweeper, scheduler, waker of parked tasks, aborter of
 * children, roller, collector, timetable, tripwires. Each is a set of idempotent compare-and-sets, so a leader that froze in the middle of
 * a pass and wakes up beside a new one does no harm.
 */
export class Coordinator {
  readonly #parts: CoordinatorParts;
  readonly #leadership: Leadership;
  readonly #reaper: Reaper;
  readonly #sweeper: Sweeper;
  readonly #ghosts: Ghosts;
  readonly #hashedLanes: HashedLanes;
  #open: OpenTasks | undefined;
  #scheduler: Scheduler | undefined;
  #waker: Waker | undefined;
  #children: ChildAborter | undefined;
  #roller: Roller | undefined;
  #collector: Collector | undefined;
  #timetable: Timetable | undefined;
  #tripwires: Tripwires | undefined;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> | undefined;
  #isStopped = false;
  #sweptAt = performance.now();
  #lanesAt = Number.NEGATIVE_INFINITY;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    // The place is renewed every 2 s at the latest, so the others need not wait for a lease that is long for the tasks' sake.
    this.#leadership = new Leadership(parts.navvy.bus, Math.min(parts.leaseMs, DEFAULT_LEASE_MS));
    this.#reaper = new Reaper(parts.navvy, parts.log, { everyMs: this.#everyMs, leaseMs: parts.leaseMs });
    this.#sweeper = new Sweeper(parts.navvy, parts.log);
    this.#ghosts = new Ghosts(parts.navvy, parts.log);
    this.#hashedLanes = new HashedLanes(parts.navvy, parts.log);
    this.#schedule(0);
  }

  get isLeading(): boolean {
    return this.#leadership.isHeld;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#turn;
    this.#retire();
    await this.#leadership.resign().catch(() => undefined); // out of reach: the next one waits for the lease
  }

  get #everyMs(): number {
    return Math.min(2_000, this.#parts.leaseMs / 6);
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#turn = this.#pass().finally(() => this.#schedule(this.#everyMs));
    }, delayMs);
  }

  async #pass(): Promise<void> {
    try {
      if (!(await this.#leadership.campaign(this.#parts.owner()))) return this.#retire();
      await this.#takeOffice();
      await this.#duties();
    } catch (error) {
      this.#reaper.forget();
      if (!isNavvyError(error)) this.#parts.log.error({ err: error }, "coordinator pass failed");
    }
  }

  async #takeOffice(): Promise<void> {
    if (this.#open) return;
    const { navvy, log } = this.#parts;
    log.info("this agent coordinates the fleet");
    this.#scheduler?.close(); // of a time in office that never got its watches
    this.#timetable?.close();
    this.#tripwires?.close();
    const scheduler = new Scheduler(navvy, log);
    this.#reaper.forget();
    this.#scheduler = scheduler;
    this.#waker?.close();
    const waker = (this.#waker = new Waker(navvy, log));
    const children = (this.#children = new ChildAborter(navvy, log));
    const timetable = await Timetable.open({ navvy, log });
    this.#timetable = timetable;
    this.#tripwires = await Tripwires.open({ navvy, log });
    this.#open = await OpenTasks.open(navvy, {
      onChange: (task) => {
        for (const duty of [scheduler, waker, children]) duty.consider(task);
      },
      onOver: (id, task) => {
        waker.over(id);
        children.over(id, task, this.#open);
        timetable.taskEnded(id);
      },
      onComplete: () => this.#lookAgain(),
    });
    this.#roller = new Roller({ navvy, log, open: this.#open });
    this.#collector = new Collector({ navvy, log });
  }

  /** Whatever was missed, or could not be written, is seen by this. */
  #lookAgain(): void {
    if (!this.#open?.isComplete) return;
    this.#waker?.pass(this.#open);
    this.#children?.pass(this.#open);
  }

  #retire(): void {
    this.#open?.close();
    this.#scheduler?.close();
    this.#waker?.close();
    this.#roller?.close();
    this.#collector?.close();
    this.#timetable?.close();
    this.#tripwires?.close();
    this.#open = undefined;
    this.#scheduler = undefined;
    this.#waker = undefined;
    this.#children = undefined;
  }

  async #duties(): Promise<void> {
    if (!this.#open) return;
    const now = performance.now();
    this.#lookAgain();
    await this.#reaper.pass(this.#open);
    if (now - this.#lanesAt > LANES_EVERY_MS) {
      await this.#parts.navvy.queues.repairLanes();
      await this.#hashedLanes.pass(this.#open);
      this.#lanesAt = now;
    }
    if (now - this.#sweptAt > SWEEP_EVERY_MS) {
      await this.#sweeper.pass(this.#open);
      await this.#ghosts.pass();
      this.#sweptAt = now;
    }
  }
}
