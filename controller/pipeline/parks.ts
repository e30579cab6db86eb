import { MAX_AWAITED } from "../../protocol/index.js";
import { task } from "../../task/index.js";
import { stopping } from "../ending.js";
import { park } from "../park.js";
import type { Activity, Wait } from "./activity.js";

/** A run that only waits keeps its process for so long: what its task's environment says, else half a minute. */
export const DEFAULT_PARK_AFTER_MS = Number(process.env["NAVVY_PARK_AFTER_MS"] ?? 30_000);
/** One of its tasks may need its very slot: that one gets no longer than this to find another. */
const STUCK_AFTER_MS = 500;

interface ParkingOptions {
  until: number | undefined;
  tidies: boolean;
}

/**
 * Ends the process of a run that only waits; what it waits for starts it again. Not where an agent can not do that.
 * @param options `until`: epoch milliseconds at which the run has to be looked at in any case; `tidies`: an abort starts it once more, for
 * what comes at the end
 * @returns how to stop that
 */
export function parkWhenQuiet(activity: Activity, options: ParkingOptions & { afterMs: number }): () => void {
  if (!task.canPark) return () => {};
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    const { waits } = activity;
    if (waits && !stopping.aborted && isParkable(waits)) void park(wishOf(waits, options));
  };
  activity.onChange = () => {
    clearTimeout(timer);
    const { waits } = activity;
    if (!waits) return;
    const isStuck = [...waits].some((wait) => wait.isStuck);
    timer = setTimeout(look, isStuck ? Math.min(options.afterMs, STUCK_AFTER_MS) : options.afterMs).unref();
  };
  activity.onChange();
  return () => {
    clearTimeout(timer);
    activity.onChange = () => {};
  };
}

function isParkable(waits: ReadonlySet<Wait>): boolean {
  return waits.size <= MAX_AWAITED && [...waits].every((wait) => !wait.isLive);
}

function wishOf(waits: ReadonlySet<Wait>, { until: limit, tidies }: ParkingOptions) {
  const all = [...waits];
  const untils = [limit, ...all.map((wait) => wait.until)].filter((until) => until !== undefined);
  return {
    on: all.flatMap((wait) => wait.task ?? []),
    ...(untils.length > 0 ? { until: new Date(Math.max(Date.now(), Math.min(...untils))) } : {}),
    ...(all.some((wait) => wait.word) ? { keys: true } : {}),
    ...(tidies ? { tidies } : {}),
  };
}
