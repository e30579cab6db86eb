import { MAX_AWAITED, SERVICES_QUEUE, type TaskRecord } from "../protocol/index.js";
import { task } from "../task/index.js";
import { onWork, underWay } from "./alive.js";
import { stopping } from "./ending.js";
import { park } from "./park.js";

/** Where nobody says otherwise. */
export const DEFAULT_PARK_AFTER_MS = 30_000;
/** A task that it waits for may need its very slot: it gets no longer than this to find another one. */
const PARK_STUCK_AFTER_MS = 500;
/** Something of the program's own is under way: looked at again then. */
const AGAIN_MS = 1_000;
/** The client's own: one for itself, and one for each watch. */
const OWN_TIMERS = 1;
const QUIET = new Set(["PipeWrap", "TTYWrap", "Timeout", "Immediate"]);

/** A wait that loses nothing when its process ends: the program waits again when it runs again. A group is over when all its waits are. */
export class ParkableWait {
  readonly id: string;
  readonly group: object | undefined;
  isStuck = false;

  constructor(id: string, group?: object) {
    this.id = id;
    this.group = group;
  }

  /** The record has changed: it may stand on the queue whose slots controllers hold. */
  see({ status, queue, parked }: TaskRecord): void {
    const isStuck = status === "queued" && queue === SERVICES_QUEUE && parked === undefined;
    if (isStuck === this.isStuck) return;
    this.isStuck = isStuck;
    schedule();
  }
}

const waits = new Set<ParkableWait>();
let afterMs: number | undefined;
let timer: NodeJS.Timeout | undefined;

/** From now on this process parks when it does nothing but wait for tasks for so long; at once when one of them may need its slot. */
export function parkWhenWaiting(parkAfterMs: number): void {
  if (!task.canPark) return;
  afterMs = parkAfterMs;
  onWork(schedule);
}

export async function asParkable<T>(wait: ParkableWait, work: () => Promise<T>): Promise<T> {
  waits.add(wait);
  try {
    return await work();
  } finally {
    waits.delete(wait);
  }
}

/** Whatever begins or ends starts the count over. */
function schedule(): void {
  clearTimeout(timer);
  if (afterMs === undefined || waits.size === 0 || stopping.aborted) return;
  const delayMs = [...waits].some(({ isStuck }) => isStuck) ? Math.min(afterMs, PARK_STUCK_AFTER_MS) : afterMs;
  timer = setTimeout(look, delayMs).unref();
}

function look(): void {
  if (waits.size === 0 || stopping.aborted || underWay() > waits.size || waits.size > MAX_AWAITED) return; // what changes that starts the count over
  if (isBusy()) {
    timer = setTimeout(look, AGAIN_MS).unref();
    return;
  }
  const [first] = waits;
  const isOneGroup = first?.group !== undefined && [...waits].every(({ group }) => group === first.group);
  void park({ on: Array.from(waits, ({ id }) => id), all: isOneGroup });
}

/** Whether the process has something open that is the program's own: a request, a file, a child, a timer. */
function isBusy(): boolean {
  const resources = process.getActiveResourcesInfo();
  const timers = resources.filter((each) => each === "Timeout").length;
  return timers > OWN_TIMERS + waits.size || resources.some((each) => !QUIET.has(each));
}
