import { type AttemptFacts, type ChildrenOnAbort, isNavvyError, type Outcome, type ParkWish, type Reported } from "../../protocol/index.js";
import { whenCut } from "./attempt-parts.js";
import type { Companions } from "./companions.js";
import type { LogShipper } from "./log-shipper.js";
import type { Noter } from "./noter.js";
import type { Reports } from "./reports.js";
import type { SetupLog } from "./setup-log.js";

/** An upload that takes long is seen to be one. */
const NOTE_EVERY_MS = 500;

export interface CollectParts {
  noter: Noter;
  companions: Companions;
  reports: Reports;
  shipper: LogShipper;
  setupLog: SetupLog;
  /** Cuts uploads short. */
  cut: AbortSignal;
}

/** What goes into the record with the outcome. */
export interface Collected {
  reported: Reported;
  logBytes?: Record<string, number>;
  facts: AttemptFacts;
  park?: ParkWish | undefined;
  childrenOnAbort?: ChildrenOnAbort | undefined;
}

/**
 * Everything the task reported, safely stored; safe to repeat.
 * @throws NavvyError that can be retried: the store is away
 */
export async function collect(parts: CollectParts, outcome: Outcome): Promise<Collected> {
  const { noter } = parts;
  noter.phase = "collecting";
  const noting = setInterval(() => noter.tick(), NOTE_EVERY_MS);
  try {
    return await store(parts, outcome);
  } finally {
    clearInterval(noting);
    await noter.settle();
  }
}

async function store({ noter, companions, reports, shipper, setupLog, cut }: CollectParts, outcome: Outcome): Promise<Collected> {
  if (outcome.kind === "setup_failed") await tell(setupLog, outcome);
  await shipper.drain({ isOver: true });
  try {
    const reporting = companions.finish().then(() => reports.finish());
    const reported = await Promise.race([reporting, whenCut(cut)]);
    return { ...reports.wishes, reported, logBytes: await shipper.finish(), facts: noter.facts };
  } catch (error) {
    if (cut.aborted) reports.note("warn", "aborted while its artifacts were being stored: not all of them are there");
    else if (!isNavvyError(error) || error.retryable) throw error;
    else reports.note("error", `not everything could be stored: ${error.message}`);
    return { ...reports.wishes, reported: reports.reported, facts: noter.facts };
  }
}

/** For those who read the log alone; the outcome says it too, so a full disk keeps nothing from going on. */
async function tell(setupLog: SetupLog, { reason = "set-up failed", tail = "" }: Outcome): Promise<void> {
  const lines = tail.split("\n").slice(reason.split("\n").length);
  const end = lines.findIndex((line) => !/^(?:why|fix): /.test(line));
  await setupLog.say([reason, ...lines.slice(0, end < 0 ? undefined : end)].join("\n")).catch(() => undefined);
}
