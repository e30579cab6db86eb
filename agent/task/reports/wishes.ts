import type { ChildrenOnAbort, ParkWish, Reported, TaskRecord } from "../../../protocol/index.js";
import type { ReportLine } from "../report-line.js";
import { type FiguresState, figuresStateOf } from "./figures.js";

/** What the record gets, but for the figures of the metrics. */
export type Gathered = Omit<Reported, "metrics" | "metricsOmitted">;

/** What a program wishes to become of its task: that it parks when it exits with 0, and what its abort does to its children. */
export interface Wishes {
  park?: ParkWish;
  childrenOnAbort?: ChildrenOnAbort;
}

/** The wish of a line. */
export function wishOf(line: Extract<ReportLine, { t: "park" | "children" }>): Wishes {
  if (line.t === "children") return { childrenOnAbort: line.onAbort };
  const { t: _t, ...park } = line;
  return { park };
}

/** What an attempt begins with: nothing, unless its task has parked. Points of the metrics in the record go on counting. */
export function earlierReports(record: TaskRecord): { figures: FiguresState; reported: Gathered } | undefined {
  if (record.firstAttempt === undefined) return undefined;
  const { metrics, metricsOmitted: _omitted, ...reported } = record.reported;
  return { figures: figuresStateOf(metrics), reported };
}
