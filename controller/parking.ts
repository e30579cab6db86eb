import { MAX_AWAITED, SERVICES_QUEUE, type TaskRecord } from "../protocol/index.js";
import { task } from "../task/index.js";
import { onWork, underWay } from "./alive.js";
import { stopping } from "./ending.js";
import { type ParkOptions, park } from "./park.js";

/** Where neither the program nor `NAVVY_PARK_AFTER_MS` says otherwise. */
const DEFAULT_PARK_AFTER_MS = 30_000;
/** A task that is waited for may need this very slot: it gets no longer than this to find another one. */
const PARK_STUCK_AFTER_MS = 500;
/** Something of the program's own is under way: looked at again then. */
const AGAIN_MS = 1_000;
/** The client's own, beside those of its waits. */
const OWN_TIMERS = 1;
const QUIET = new Set(["PipeWrap", "TTYWrap", "Timeout", "Immediate"]);

/** Something under way that loses nothing when its process ends: it is begun again when the program runs again. */
export interface Parkable {
  /** What it waits for just now; undefined: it does something. */
  wish(): ParkOptions | undefined;
  /** Whether a task that it waits for may need this process's slot. */
  readonly isStuck: boolean;
  /** How many timers it has that need not hold the process. */
  readonly timers: number;
  /** Those of one group wait for all of their tasks. */
  readonly group?: object | undefined;
}

/** Whether a task stands on the queue whose slots controllers hold, and not only for others. */
export function needsService({ status, queue, parked }: TaskRecord): boolean {
  return status === "queued" && queue === SERVICES_QUEUE && parked === undefined;
}

/** A wait for one task. */
export class ParkableWait implements Parkable {
  readonly #id: string;
  readonly group: object | undefined;
  readonly timers = 1;
  isStuck = false;

  constructor(id: string, group?: object) {
    this.#id = id;
    this.group = group;
  }

  wish(): ParkOptions {
    return { on: [this.#id] };
  }

  see(record: TaskRecord): void {
    const isStuck = needsService(record);
    if (isStuck === this.isStuck) return;
    this.isStuck = isStuck;
    parkingChanged();
  }
}

const waits = new Set<Parkable>();
let afterMs: number | undefined;
let timer: NodeJS.Timeout | undefined;

/** From now on this process parks when it does nothing but wait for tasks for so long; at once when one of them may need its slot. */
export function parkWhenWaiting(parkAfterMs?: number): void {
  if (!task.canPark) return;
  afterMs = parkAfterMs ?? afterMs ?? Number(process.env["NAVVY_PARK_AFTER_MS"] ?? DEFAULT_PARK_AFTER_MS);
  onWork(parkingChanged);
  parkingChanged();
}

export async function asParkable<T>(wait: Parkable, work: () => Promise<T>): Promise<T> {
  waits.add(wait);
  try {
    return await work();
  } finally {
    waits.delete(wait);
  }
}

/** Whatever begins or ends starts the count over. */
export function parkingChanged(): void {
  clearTimeout(timer);
  if (afterMs === undefined || waits.size === 0 || stopping.aborted) return;
  const delayMs = [...waits].some(({ isStuck }) => isStuck) ? Math.min(afterMs, PARK_STUCK_AFTER_MS) : afterMs;
  timer = setTimeout(look, delayMs).unref();
}

function look(): void {
  if (stopping.aborted || underWay() > waits.size) return; // what changes that starts the count over
  const wish = together([...waits]);
  if (wish === undefined) return;
  if (isBusy()) {
    timer = setTimeout(look, AGAIN_MS).unref();
    return;
  }
  void park(wish);
}

/** What all of them wait for; undefined: one of them does something, or they wait for too much. */
function together(all: Parkable[]): ParkOptions | undefined {
  const wishes = all.map((each) => each.wish());
  const known = wishes.filter((wish) => wish !== undefined);
  const on = known.flatMap((wish) => [...(wish.on ?? [])]);
  if (known.length === 0 || known.length < all.length) return undefined;
  const [first] = all;
  const isOneGroup = first?.group !== undefined && all.every(({ group }) => group === first.group);
  const until = known.flatMap((wish) => (wish.until === undefined ? [] : [new Date(wish.until).toISOString()])).sort()[0];
  const has = (name: "keys" | "tidies") => known.some((wish) => wish[name] === true);
  if (isOneGroup && on.length > MAX_AWAITED) return undefined;
  // Any of so many wakes it: then it waits for the rest.
  return {
    on: on.slice(0, MAX_AWAITED),
    all: isOneGroup,
    keys: has("keys"),
    tidies: has("tidies"),
    ...(until === undefined ? {} : { until }),
  };
}

/** Whether the process has something open that is the program's own: a request, a file, a child, a timer. */
function isBusy(): boolean {
  const resources = process.getActiveResourcesInfo();
  const timers = resources.filter((each) => each === "Timeout").length;
  const ours = [...waits].reduce((sum, wait) => sum + wait.timers, OWN_TIMERS);
  return timers > ours || resources.some((each) => !QUIET.has(each));
}
