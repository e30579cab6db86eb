import { z } from "zod";
import { ArtifactRef, CHILDREN_ON_ABORT, canWake, MEDIA_KINDS, ParameterValue, ParkWish, type Point } from "../../protocol/index.js";

/** The words that JSON has no number for, as Python's `json` writes them too. */
const WORDS: Record<string, number> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  "-inf": Number.NEGATIVE_INFINITY,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

/** A number, or one of the words. 1e999 is JSON and an infinity. */
const Value = z.unknown().transform((value, context) => {
  if (typeof value === "number") return value;
  const number = typeof value === "string" && Object.hasOwn(WORDS, value) ? WORDS[value] : undefined;
  if (number !== undefined) return number;
  context.addIssue({ code: "custom", message: 'is neither a number nor "nan", "inf" or "-inf"' });
  return z.NEVER;
});
/** Seconds since 1970: no later than the year 5138, so that milliseconds are noticed. */
const common = { ts: z.number().min(0).max(1e11).optional(), step: z.number().optional() };
const Name = z.string().min(1).max(256);
const shown = { name: Name, caption: z.string().max(4096).optional(), ...common };

/** One line of an events file (docs/protocol.md has the table). */
const Line = z.discriminatedUnion("t", [
  z.object({ t: z.literal("scalar"), k: z.string().min(1), v: Value, ...common }),
  z.object({ t: z.literal("scalars"), kv: z.record(z.string().min(1), Value), ...common }),
  z.object({ t: z.literal("progress"), n: z.number(), of: z.number().optional(), unit: z.string().max(64).optional() }),
  z.object({ t: z.literal("output"), k: Name, v: ParameterValue }),
  z.object({ t: z.literal("param"), k: Name, v: ParameterValue }),
  z.object({
    t: z.literal("artifact"),
    name: z.string().min(1).max(512),
    path: z.string().min(1),
    kind: z.string().optional(),
    version: z.string().max(128).optional(),
  }),
  // Content that is stored already, by reference: what another task left.
  z.object({
    t: z.literal("link"),
    name: z.string().min(1).max(512),
    ref: ArtifactRef.omit({ name: true, attempt: true, uploadedAt: true }),
  }),
  z.object({
    t: z.literal("note"),
    level: z.enum(["info", "warn", "error"]).default("info"),
    text: z.string().max(4096),
    key: z.string().max(64).optional(),
  }),
  z.object({ t: z.literal("plot"), spec: z.record(z.string(), z.unknown()), ...shown }),
  z.object({ t: z.literal("table"), columns: z.array(z.string()), rows: z.array(z.array(z.unknown())), ...shown }),
  z.object({
    t: z.literal("histogram"),
    values: z.array(Value).optional(),
    edges: z.array(Value).optional(),
    counts: z.array(z.number()).optional(),
    ...shown,
  }),
  z.object({
    t: z.literal("media"),
    kind: z.enum(MEDIA_KINDS).optional(),
    path: z.string().min(1).optional(),
    text: z.string().optional(),
    data: z.base64().optional(),
    mime: z.string().max(128).optional(),
    ...shown,
  }),
  z.object({ t: z.literal("summary"), md: z.string() }),
  ParkWish.extend({ t: z.literal("park") }).refine(canWake, 'names nothing that would wake it: "on", "until" or "keys" is needed'),
  z.object({ t: z.literal("children"), onAbort: z.enum(CHILDREN_ON_ABORT) }),
]);
export type ReportLine = z.infer<typeof Line>;

const KNOWN = new Set(Line.options.map((option) => option.shape.t.value as string));

/** Reads one line: the report, `unknown` for a kind of a newer protocol (left alone), or what is wrong with it. */
export function parseReportLine(text: string): { line: ReportLine } | { unknown: string } | { problem: string } {
  const value = parseJson(text);
  if (value === undefined) return { problem: "not JSON" };
  const kind = typeof value === "object" && value !== null ? (value as { t?: unknown }).t : undefined;
  if (typeof kind !== "string") return { problem: 'no "t" field' };
  if (!KNOWN.has(kind)) return { unknown: kind };
  const parsed = Line.safeParse(value);
  if (parsed.success) return { line: parsed.data };
  const issue = parsed.error.issues[0];
  return { problem: `${kind}: ${[issue?.path.join("."), issue?.message ?? "wrong"].filter(Boolean).join(" ")}` };
}

/** Numbers that JSON has no word for, bare, as several languages write them all the same. */
const BARE = /(?<=[:,[]\s*)(-?Infinity|NaN)(?=\s*[,}\]])/g;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const quoted = /NaN|Infinity/.test(text) ? text.replace(BARE, '"$1"') : text;
    return quoted === text ? undefined : parseJson(quoted);
  }
}

/** The points of a scalar line. */
export function pointsOf(line: Extract<ReportLine, { t: "scalar" | "scalars" }>): (Omit<Point, "step"> & { step: number | undefined })[] {
  const { step } = line;
  const time = timeOf(line);
  if (line.t === "scalar") return [{ key: line.k, value: line.v, time, step }];
  return Object.entries(line.kv).map(([key, value]) => ({ key, value, time, step }));
}

/** In epoch milliseconds: when it says, or when it is read. */
export const timeOf = ({ ts }: { ts?: number | undefined }): number => (ts === undefined ? Date.now() : ts * 1000);

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
