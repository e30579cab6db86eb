import { setTimeout as delay } from "node:timers/promises";
import type { Navvy } from "../broker/index.js";
import { isNavvyError, NavvyError, type TaskRecord } from "../protocol/index.js";
import { stopping, waiting } from "./ending.js";
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

/** Waits for a record's end; a server that is away is waited for too. */
export function untilEnded(navvy: Navvy, id: string, options: Until): Promise<TaskRecord> {
  const deadline = performance.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
  const signal = options.signal ? AbortSignal.any([stopping, options.signal]) : stopping;
  return waiting(async () => {
    for (;;) {
      const leftMs = deadline - performance.now();
      try {
        const more = {
          ...(options.until ? { until: options.until } : {}),
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
  return Promise.all([...tasks].map((task) => task.wait(options)));
}

/**
 * Waits until one of the tasks has ended and gives that one.
 * @throws NavvyError invalid_argument (no tasks), timeout, aborted, not_found
 */
export async function waitAny(tasks: Iterable<Task>, options: WaitForOptions = {}): Promise<Task> {
  const all = [...tasks];
  if (all.length === 0) throw new NavvyError("invalid_argument", "there is no task to wait for");
  const done = new AbortController();
  const signal = options.signal ? AbortSignal.any([done.signal, options.signal]) : done.signal;
  const waits = all.map((task) => task.wait({ ...options, signal }));
  try {
    return await Promise.race(waits);
  } finally {
    done.abort();
    await Promise.allSettled(waits);
  }
}

function stopped(id: string, cause: unknown): NavvyError {
  const why = stopping.aborted ? (stopping.reason as Error).message : "the wait was taken back";
  return new NavvyError("aborted", `stopped waiting for task ${id}`, { cause, why });
}
