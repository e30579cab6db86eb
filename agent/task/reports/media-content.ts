import { extname } from "node:path";
import { type MediaKind, PLOT_TYPES } from "../../../protocol/index.js";
import type { ReportLine } from "../report-line.js";

export const MAX_TABLE_ROWS = 1_000;
const BINS = 64;

/** What a line shows, but for its name, step and time. */
export interface Content {
  kind: MediaKind;
  mediaType: string;
  /** Here, or in a file. */
  bytes?: Uint8Array;
  path?: string;
  /** What had to be left out. */
  remark?: string;
}

type LineOf<T extends ReportLine["t"]> = Extract<ReportLine, { t: T }>;
export type MediaLine = LineOf<"plot" | "table" | "histogram" | "media">;

/** @throws Error: the line names nothing that can be shown */
export function contentOf(line: MediaLine): Content {
  switch (line.t) {
    case "plot":
      return plotOf(line);
    case "table":
      return tableOf(line);
    case "histogram":
      return histogramOf(line);
    case "media":
      return mediaOf(line);
  }
}

/** Vega-Lite and Plotly as they are; `{x, y, kind}` becomes Vega-Lite, so that readers know two languages and no third. */
function plotOf({ spec, name }: LineOf<"plot">): Content {
  const of = (mediaType: string, value: object): Content => ({ kind: "plot", mediaType, bytes: json(value) });
  const isVegaLite = ["mark", "layer", "concat", "hconcat", "vconcat", "facet", "repeat"].some((key) => key in spec);
  if (isVegaLite || /vega-lite/.test(String(spec["$schema"]))) return of(PLOT_TYPES.vegaLite, spec);
  if (Array.isArray(spec["data"])) return of(PLOT_TYPES.plotly, spec);
  const { x, y, kind = "line" } = spec;
  if (Array.isArray(x) && Array.isArray(y) && x.length === y.length)
    return of(PLOT_TYPES.vegaLite, vegaLite({ x, y, kind: String(kind), name }));
  throw new Error("its spec is neither Vega-Lite, nor Plotly's {data, layout}, nor {x, y, kind} with as many x as y");
}

const MARKS: Record<string, string> = { line: "line", bar: "bar", scatter: "point", point: "point", area: "area" };

function vegaLite({ x, y, kind, name }: { x: unknown[]; y: unknown[]; kind: string; name: string }): object {
  const type = (values: unknown[]) => (values.every((value) => typeof value === "number") ? "quantitative" : "nominal");
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v5.json",
    title: name,
    data: { values: x.map((each, i) => ({ x: each, y: y[i] })) },
    mark: MARKS[kind] ?? "line",
    encoding: { x: { field: "x", type: type(x) }, y: { field: "y", type: type(y) } },
  };
}

function tableOf({ columns, rows }: LineOf<"table">): Content {
  const remark = rows.length > MAX_TABLE_ROWS ? `${rows.length - MAX_TABLE_ROWS} of its ${rows.length} rows were left out` : undefined;
  const bytes = json({ columns, rows: rows.slice(0, MAX_TABLE_ROWS) });
  return { kind: "table", mediaType: "application/json", bytes, ...(remark === undefined ? {} : { remark }) };
}

function histogramOf({ values, edges, counts }: LineOf<"histogram">): Content {
  const of = (value: object): Content => ({ kind: "histogram", mediaType: "application/json", bytes: json(value) });
  if (values) return of(binned(values));
  if (edges && counts && edges.length === counts.length + 1) return of({ edges: edges.map(word), counts });
  throw new Error("it needs values, or edges with one more than counts");
}

/** In bins of the same width. What is no finite number is in none of them, and counted. */
function binned(values: number[]): object {
  const finite = values.filter(Number.isFinite);
  const none = values.length - finite.length;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of finite) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (finite.length === 0) return { edges: [0, 1], counts: [0], notFinite: none };
  const isOne = low === high;
  const bins = isOne ? 1 : BINS;
  // In halves: between the lowest and the highest number lies more than a number can say.
  const width = isOne ? 1 : high / bins - low / bins;
  const counts = new Array<number>(bins).fill(0);
  for (const value of finite) counts[Math.min(bins - 1, Math.floor(value / width - low / width))]!++;
  const edges = Array.from({ length: bins + 1 }, (_, i) => (i === bins && !isOne ? high : low + i * width));
  return { edges, counts, ...(none > 0 ? { notFinite: none } : {}) };
}

const TYPES: Record<string, string> = {
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp",
  ".svg": "image/svg+xml",
  ".bmp": "image/bmp",
  ".wav": "audio/wav",
  ".mp3": "audio/mpeg",
  ".ogg": "audio/ogg",
  ".flac": "audio/flac",
  ".mp4": "video/mp4",
  ".webm": "video/webm",
  ".txt": "text/plain",
  ".md": "text/markdown",
  ".html": "text/html",
  ".json": "application/json",
  ".csv": "text/csv",
};

function mediaOf({ path, text, data, mime, kind }: LineOf<"media">): Content {
  if ([path, text, data].filter((each) => each !== undefined).length !== 1) throw new Error("it needs one of path, text and data");
  const known = path === undefined ? undefined : TYPES[extname(path).toLowerCase()];
  const mediaType = mime ?? known ?? (text === undefined ? "application/octet-stream" : "text/plain");
  const common = { kind: kind ?? kindOf(mediaType), mediaType };
  if (path !== undefined) return { ...common, path };
  return { ...common, bytes: text === undefined ? Buffer.from(data ?? "", "base64") : Buffer.from(text) };
}

function kindOf(mediaType: string): MediaKind {
  return (["image", "audio", "video", "text"] as const).find((kind) => mediaType.startsWith(`${kind}/`)) ?? "file";
}

const json = (value: object) => Buffer.from(JSON.stringify(value, (_key, each: unknown) => word(each)));

/** JSON has no word for these. */
function word(value: unknown): unknown {
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}
