import { setTimeout as delay } from "node:timers/promises";
import type { Navvy, WaitOptions } from "../broker/index.js";
import { isNavvyError, NavvyError, type TaskRecord } from "../protocol/index.js";
import { stopping, waiting } from "./ending.js";
import { asParkable, ParkableWait } from "./parking.js";
import { isAway } from "./patience.js";
import type { Task } from "./task.js";

export interface WaitForOptions {
  /** Default: for ever. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** What else may end a wait. */
interface Until extends WaitForOptions {
  until?: (task: TaskRecord) => boolean;
}

const RETRY_MS = 500;

/** Signals of our own: a wait that has one can be begun again by a process that parked. With what belongs together for some. */
const ownSignals = new WeakMap<AbortSignal, { group?: object }>();

/**
 * Waits for a record's end; a server that is away is waited for too. One that ends at a time, or at the program's own signal, would be
 * another one when it is begun again: it keeps the process from parking.
 */
export function untilEnded(navvy: Navvy, id: string, options: Until): Promise<TaskRecord> {
  const own = options.signal === undefined ? {} : ownSignals.get(options.signal);
  if (own === undefined || options.timeoutMs !== undefined || options.until) return wait(navvy, id, options);
  const parkable = new ParkableWait(id, own.group);
  return asParkable(parkable, () => wait(navvy, id, { ...options, onChange: (task) => parkable.see(task) }));
}

function wait(navvy: Navvy, id: string, options: Until & Pick<WaitOptions, "onChange">): Promise<TaskRecord> {
  const { onChange } = options;
  const deadline = performance.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
  const signal = options.signal ? AbortSignal.any([stopping, options.signal]) : stopping;
  return waiting(async () => {
    for (;;) {
      const leftMs = deadline - performance.now();
      try {
        const more = {
          ...(options.until ? { until: options.until } : {}),
          ...(onChange ? { onChange } : {}),
          ...(Number.isFinite(leftMs) ? { timeoutMs: Math.max(0, leftMs) } : {}),
        };
        return await navvy.tasks.wait(id, { signal, ...more });
      } catch (error) {
        if (isNavvyError(error, "aborted")) throw stopped(id, error);
        if (!isAway(error) || performance.now() >= deadline) throw error;
        await delay(RETRY_MS);
      }
    }
  });
}

/**
 * Waits until every task has ended, however each did.
 * @throws NavvyError timeout, aborted, not_found
 */
export function waitAll(tasks: Iterable<Task>, options: WaitForOptions = {}): Promise<Task[]> {
  const together = options.signal ?? ownSignal({ group: {} });
  return Promise.all([...tasks].map((task) => task.wait({ ...options, signal: together })));
}

/**
 * Waits until one of the tasks has ended and gives that one.
 * @throws NavvyError invalid_argument (no tasks), timeout, aborted, not_found
 */
export async function waitAny(tasks: Iterable<Task>, options: WaitForOptions = {}): Promise<Task> {
  const all = [...tasks];
  if (all.length === 0) throw new NavvyError("invalid_argument", "there is no task to wait for");
  const done = new AbortController();
  ownSignals.set(done.signal, {});
  const signal = options.signal ? AbortSignal.any([done.signal, options.signal]) : done.signal;
  const waits = all.map((task) => task.wait({ ...options, signal }));
  try {
    return await Promise.race(waits);
  } finally {
    done.abort();
    await Promise.allSettled(waits);
  }
}

function ownSignal(of: { group?: object }): AbortSignal {
  const { signal } = new AbortController();
  ownSignals.set(signal, of);
  return signal;
}

function stopped(id: string, cause: unknown): NavvyError {
  const why = stopping.aborted ? (stopping.reason as Error).message : "the wait was taken back";
  return new NavvyError("aborted", `stopped waiting for task ${id}`, { cause, why });
}
