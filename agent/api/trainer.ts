import { NavvyError } from "../../protocol/index.js";
import { readJson } from "./body.js";
import type { Act, Route } from "./call.js";

/** What the last posts of an attempt have told. */
interface Seen {
  step?: number | undefined;
  total?: number | undefined;
  values: Map<string, number>;
}

const MAX_METRICS = 1_000;
const STEP = "current_step";
const TOTAL = "total_steps";

/**
 * The endpoint to which Hugging Face's `Trainer` posts where KUBEFLOW_TRAINER_SERVER_URL names it (its Kubeflow callback), and Kubeflow's
 * own library: `{trainerStatus: {progressPercentage?, estimatedRemainingSeconds?, metrics?: [{name, value}], lastUpdatedTime?}}`, with
 * every value as text. The numbers come again and again with each post: only what is new becomes a point.
 */
const postStatus: Act = async (call) => {
  const { trainerStatus } = await readJson(call);
  if (typeof trainerStatus !== "object" || trainerStatus === null)
    throw new NavvyError("invalid_argument", "there is no trainerStatus", { fix: '{"trainerStatus": {"progressPercentage": 40}}' });
  const status = trainerStatus as Record<string, unknown>;
  const seen: Seen = (call.attempt.trainer as Seen | undefined) ?? { values: new Map() };
  call.attempt.trainer = seen;
  const values = valuesOf(status.metrics);
  seen.step = values.get(STEP) ?? seen.step;
  seen.total = values.get(TOTAL) ?? seen.total;
  const lines = [...progressOf(status, values, seen), ...pointsOf(values, seen)];
  await call.attempt.events.append(lines);
  return { trainerStatus: { lastUpdatedTime: new Date().toISOString() } };
};

function valuesOf(metrics: unknown): Map<string, number> {
  const values = new Map<string, number>();
  for (const metric of Array.isArray(metrics) ? metrics.slice(0, MAX_METRICS) : []) {
    const { name, value } = (metric ?? {}) as Record<string, unknown>;
    const number = numberOf(value);
    if (typeof name === "string" && name !== "" && number !== undefined) values.set(name.slice(0, 256), number);
  }
  return values;
}

/** Python's words for what is no number, too. */
function numberOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || value.trim() === "") return undefined;
  const text = value.trim().toLowerCase();
  if (text === "nan") return Number.NaN;
  if (/^[+-]?inf(inity)?$/.test(text)) return text.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const number = Number(text);
  return Number.isNaN(number) ? undefined : number;
}

/** In steps where they are told, also at the end, which names none. */
function progressOf(status: Record<string, unknown>, values: Map<string, number>, seen: Seen): object[] {
  const percent = numberOf(status.progressPercentage);
  const eta = numberOf(status.estimatedRemainingSeconds);
  const more = eta === undefined ? {} : { eta };
  const isOver = percent === 100;
  if (seen.total && (isOver || values.has(STEP) || percent === 0))
    return [{ t: "progress", n: isOver ? seen.total : (values.get(STEP) ?? 0), of: seen.total, unit: "step", ...more }];
  return percent === undefined ? [] : [{ t: "progress", n: percent, of: 100, unit: "%", ...more }];
}

function pointsOf(values: Map<string, number>, seen: Seen): object[] {
  const fresh = [...values].filter(([name, value]) => name !== STEP && name !== TOTAL && !Object.is(seen.values.get(name), value));
  for (const [name, value] of fresh) seen.values.set(name, value);
  if (fresh.length === 0) return [];
  const kv = Object.fromEntries(fresh.map(([name, value]) => [name, worded(value)]));
  return [{ t: "scalars", kv, ts: Date.now() / 1000, ...(seen.step === undefined ? {} : { step: seen.step }) }];
}

/** A number as a line of an events file holds it. */
export function worded(value: number): number | "nan" | "inf" | "-inf" {
  if (Number.isNaN(value)) return "nan";
  if (Number.isFinite(value)) return value;
  return value > 0 ? "inf" : "-inf";
}

export const TRAINER: readonly Route[] = [{ method: "POST", path: "trainer/status", act: postStatus }];
