import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { NavvyError } from "../../../protocol/index.js";
import { eventsFile } from "../../task/folder.js";
import { worded } from "../trainer.js";
import { type Asked, type MlflowAct, textOf, wholeOf } from "./asked.js";
import { required } from "./failures.js";
import { metricShape } from "./shapes.js";
import type { Latest, Run } from "./state.js";

/** A point as it was logged. */
export interface Logged extends Latest {
  key: string;
}

const MAX_KEYS = 5_000;
const MAX_HISTORY = 25_000;
const WORDS: Record<string, number> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

/** @throws NavvyError invalid_argument */
export function pointOf(fields: Record<string, unknown>): Logged {
  const key = required(fields, "key");
  const { value: given } = fields;
  const value = typeof given === "string" ? (WORDS[given] ?? wholeOf(given)) : given;
  if (typeof value !== "number")
    throw new NavvyError("invalid_argument", `Invalid value ${textOf(given).slice(0, 40)} for metric '${key}'.`);
  return { key, value, timestamp: wholeOf(fields.timestamp) ?? Date.now(), step: wholeOf(fields.step) ?? 0 };
}

const keyOf = (run: Run, key: string) => `${run.prefix}${key}`.slice(0, 256);

/** The lines for points; what is the latest of each metric is kept. */
export function logPoints(run: Run, points: Logged[]): object[] {
  for (const { key, ...latest } of points) {
    const known = run.metrics.get(key);
    if (known ? latest.step >= known.step : run.metrics.size < MAX_KEYS) run.metrics.set(key, latest);
  }
  return points.map(({ key, value, timestamp, step }) => ({
    t: "scalar",
    k: keyOf(run, key),
    v: worded(value),
    step,
    ts: timestamp / 1000,
  }));
}

/** All points of a metric, from the attempt's own events file. */
async function history({ state, call, fields }: Asked): Promise<object[]> {
  const run = state.run(textOf(fields.run_id) || required(fields, "run_uuid"));
  const key = required(fields, "metric_key");
  const wanted = keyOf(run, key);
  const most = Math.min(wholeOf(fields.max_results) ?? MAX_HISTORY, MAX_HISTORY);
  const found: object[] = [];
  const file = createReadStream(eventsFile(call.attempt.folder, "http"));
  const lines = createInterface({ input: file.on("error", () => lines.close()) });
  for await (const line of lines) {
    if (found.length >= most) break;
    const point = line.startsWith('{"t":"scalar"') ? pointIn(line, wanted) : undefined;
    if (point) found.push({ ...metricShape(key, point), run_id: run.id });
  }
  file.destroy();
  return found;
}

function pointIn(line: string, key: string): Latest | undefined {
  try {
    const { k, v, step = 0, ts = 0 } = JSON.parse(line) as { k: string; v: number | string; step?: number; ts?: number };
    if (k !== key) return undefined;
    const value = typeof v === "number" ? v : { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY }[v];
    return value === undefined ? undefined : { value, step, timestamp: Math.round(ts * 1000) };
  } catch {
    return undefined; // a line that a client posted itself
  }
}

const getHistory: MlflowAct = async (asked) => ({ metrics: await history(asked) });

export const METRICS: Record<string, MlflowAct> = {
  "GET mlflow/metrics/get-history": getHistory,
  "GET mlflow/metrics/get-history-bulk": getHistory,
};
