import type { MetricSummary, Point } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import type { View } from "../../output/output.js";
import { figure, size } from "../../output/quantities.js";
import { findTask } from "../../references.js";
import { listMedia } from "./media.js";
import { rangeOf, type TaskRange } from "./view.js";

interface MetricsOptions {
  key?: string;
  attempt?: number;
  media?: boolean;
}

type Row = MetricSummary & { key: string };

/** What the agent measured has a unit that is known. */
function worded(key: string, value: number): string {
  if (!Number.isFinite(value) || !/^system\/(?:.*\/)?(?:memory|memory_peak|io_read|io_write)$/.test(key)) return figure(value);
  return `${size(value)}${key.includes("/io_") ? "/s" : ""}`;
}

const SUMMARIES: View<Row> = {
  kind: "metric",
  name: (row) => row.key,
  empty: "no metrics",
  columns: [
    { title: "METRIC", value: (row) => row.key, isFlexible: true },
    { title: "LAST", value: (row) => worded(row.key, row.last), align: "right" },
    { title: "STEP", value: (row) => String(row.lastStep), align: "right" },
    { title: "MIN", value: (row) => `${worded(row.key, row.min)} @${row.minStep}`, align: "right" },
    { title: "MAX", value: (row) => `${worded(row.key, row.max)} @${row.maxStep}`, align: "right" },
    { title: "POINTS", value: (row) => String(row.count), align: "right" },
  ],
};

const POINTS: View<Point> = {
  kind: "point",
  name: (point) => String(point.value),
  empty: "no points",
  columns: [
    { title: "STEP", value: (point) => String(point.step), align: "right" },
    { title: "VALUE", value: (point) => String(point.value), align: "right" },
    { title: "TIME", value: (point) => new Date(point.time).toISOString() },
  ],
};

/** `navvy task metrics TASK [--key KEY] [--media]` */
export const metrics: Handler<[string], MetricsOptions> = async (call, reference) => {
  const task = await findTask(call, reference);
  if (call.options.media) return listMedia(call, task);
  const { key, attempt = task.attempt } = call.options;
  if (key !== undefined || attempt !== task.attempt) return points(call, { ...rangeOf(task, call.options.attempt), key });
  const rows = Object.entries(task.reported.metrics).map(([name, summary]) => ({ key: name, ...summary }));
  call.out.list(SUMMARIES, rows);
  if (task.reported.metricsOmitted > 0) call.out.talk(`${task.reported.metricsOmitted} more have no figures here; see them with --key`);
};

async function points(call: Call<MetricsOptions>, of: TaskRange & { key: string | undefined }): Promise<void> {
  const navvy = await call.navvy();
  const found: Point[] = [];
  for await (const batch of navvy.metrics.read(of)) found.push(...batch.filter((point) => of.key === undefined || point.key === of.key));
  call.out.list(POINTS, found);
}
