import { z } from "zod";
import type { Point } from "../../protocol/index.js";
import { ParameterValue } from "../../protocol/index.js";

/** A number, or the words that JSON has no number for. */
const Value = z.union([
  z.number(),
  z
    .enum(["nan", "inf", "-inf"])
    .transform((word) => ({ nan: Number.NaN, inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY })[word]),
]);
const common = { ts: z.number().optional(), step: z.number().optional() };

/** One line of `$NAVVY_EVENTS` (docs/protocol.md has the table). */
const Line = z.discriminatedUnion("t", [
  z.object({ t: z.literal("scalar"), k: z.string().min(1).max(256), v: Value, ...common }),
  z.object({ t: z.literal("scalars"), kv: z.record(z.string().min(1).max(256), Value), ...common }),
  z.object({ t: z.literal("progress"), n: z.number(), of: z.number().optional(), unit: z.string().optional() }),
  z.object({ t: z.literal("output"), k: z.string().min(1), v: ParameterValue }),
  z.object({
    t: z.literal("artifact"),
    name: z.string().min(1).max(512),
    path: z.string().min(1),
    kind: z.string().optional(),
    version: z.string().max(128).optional(),
  }),
  z.object({ t: z.literal("note"), level: z.enum(["info", "warn", "error"]).default("info"), text: z.string().max(4096) }),
]);
export type ReportLine = z.infer<typeof Line>;

const KNOWN = new Set(Line.options.map((option) => option.shape.t.value as string));

/** Reads one line: the report, `unknown` for a kind of a newer protocol (left alone), or what is wrong with it. */
export function parseReportLine(text: string): { line: ReportLine } | { unknown: string } | { problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: "not JSON" };
  }
  const kind = typeof value === "object" && value !== null ? (value as { t?: unknown }).t : undefined;
  if (typeof kind !== "string") return { problem: 'no "t" field' };
  if (!KNOWN.has(kind)) return { unknown: kind };
  const parsed = Line.safeParse(value);
  if (parsed.success) return { line: parsed.data };
  const issue = parsed.error.issues[0];
  return { problem: `${kind}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? "wrong"}` };
}

/** The points of a scalar line. Without a step, points count up by themselves per key. */
export function pointsOf(line: Extract<ReportLine, { t: "scalar" | "scalars" }>, nextStep: (key: string) => number): Point[] {
  const time = line.ts === undefined ? Date.now() : line.ts * 1000;
  const pairs = line.t === "scalar" ? [[line.k, line.v] as const] : Object.entries(line.kv);
  return pairs.map(([key, value]) => ({ key, value, time, step: line.step ?? nextStep(key) }));
}

/**
 * Reads `$NAVVY_OUTPUT`: `key=value` lines; `key<<WORD` opens a value of several lines that ends with WORD alone;
 * `json:` before a value keeps its type.
 */
export function parseOutputs(text: string): Record<string, ParameterValue> {
  const outputs: Record<string, ParameterValue> = {};
  const lines = text.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? "";
    const block = /^([^=\s]+)<<(\S+)$/.exec(line);
    if (block?.[1] && block[2]) {
      const end = lines.indexOf(block[2], i + 1);
      outputs[block[1]] = lines.slice(i + 1, end === -1 ? undefined : end).join("\n");
      i = end === -1 ? lines.length : end;
      continue;
    }
    const at = line.indexOf("=");
    if (at > 0) outputs[line.slice(0, at).trim()] = typed(line.slice(at + 1));
  }
  return outputs;
}

function typed(value: string): ParameterValue {
  if (!value.startsWith("json:")) return value;
  try {
    return JSON.parse(value.slice(5)) as ParameterValue;
  } catch {
    return value; // not JSON after all: kept as it was written
  }
}
