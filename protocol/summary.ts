import type { Point } from "./columns.js";
import type { MetricSummary } from "./task-record.js";

/** Metrics whose figures stand in the record; the points of further ones are on the metric stream. */
export const MAX_SUMMARY_METRICS = 200;

/** Adds a point to a metric's figures. NaN and infinities count, but are never a minimum or maximum. */
export function addPoint(summary: MetricSummary | undefined, point: Point): MetricSummary {
  const { step, value } = point;
  if (!summary) return { last: value, lastStep: step, min: value, minStep: step, max: value, maxStep: step, count: 1 };
  const next = { ...summary, last: value, lastStep: step, count: summary.count + 1 };
  if (!Number.isFinite(value)) return next;
  if (value < summary.min || !Number.isFinite(summary.min)) Object.assign(next, { min: value, minStep: step });
  if (value > summary.max || !Number.isFinite(summary.max)) Object.assign(next, { max: value, maxStep: step });
  return next;
}
