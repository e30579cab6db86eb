import type { Outcome } from "../../protocol/index.js";
import type { JournalStart } from "../host/journal.js";
import type { ProcessEnd } from "../runners/runner.js";
import type { Slot } from "../slots.js";

/** An attempt that an earlier run of the agent left behind. */
export interface Leftover {
  start: JournalStart;
  /** The slot it goes on holding. */
  slot: Slot;
  /** How its process ends, or has ended; the outcome of one that never had a process. */
  fate: { exited: Promise<ProcessEnd> } | { outcome: Outcome };
}
