import { type Field, fieldsOf, floatsIn, numbersIn, signed } from "./protobuf.js";
import { type Tensor, tensorOf } from "./tensor.js";

/** What one value of a summary holds. */
export type Content =
  | { kind: "scalar"; value: number }
  | { kind: "image"; encoded: Buffer }
  | { kind: "histogram"; edges: number[]; counts: number[] }
  | { kind: "text"; text: string };

export interface Shown {
  tag: string;
  content: Content;
}

/** One record of an event file. */
export interface Event {
  /** Seconds since 1970. */
  wallTime: number;
  step: number;
  shown: Shown[];
}

/** Which plugin shows a tag: writers may say it with a tag's first value only. */
export type Plugins = Record<string, string>;

/**
 * Reads an event: scalars, images, histograms and texts, as old writers have them (PyTorch, tensorboardX) and as tensors (TensorFlow 2).
 * What else is in it is left out. @throws RangeError
 */
export function eventOf(record: Uint8Array, plugins: Plugins): Event {
  const event: Event = { wallTime: 0, step: 0, shown: [] };
  for (const field of fieldsOf(record)) {
    if (field.number === 1 && field.type === 1) event.wallTime = field.bytes.readDoubleLE();
    else if (field.number === 2 && field.type === 0) event.step = signed(field.varint);
    else if (field.number === 5 && field.type === 2) event.shown.push(...summaryOf(field.bytes, plugins));
  }
  return event;
}

function summaryOf(bytes: Buffer, plugins: Plugins): Shown[] {
  return [...fieldsOf(bytes)].flatMap((field) => (field.number === 1 && field.type === 2 ? valueOf(field.bytes, plugins) : []));
}

/** Summary.Value. */
function valueOf(bytes: Buffer, plugins: Plugins): Shown[] {
  const fields = new Map<number, Field>();
  for (const field of fieldsOf(bytes)) fields.set(field.number, field);
  const of = (number: number) => {
    const field = fields.get(number);
    return field && field.type !== 0 ? field.bytes : undefined;
  };
  const tag = of(1)?.toString("utf8") ?? "";
  const metadata = of(9);
  if (metadata) plugins[tag] = pluginOf(metadata) ?? plugins[tag] ?? "";
  const [simple, image, histogram, tensor] = [of(2), of(4), of(5), of(8)];
  if (simple) return [{ tag, content: { kind: "scalar", value: floatsIn(simple, "float")[0] ?? 0 } }];
  if (image) return imageOf(image).map((encoded) => ({ tag, content: { kind: "image", encoded } }));
  if (histogram) return histogramOf(histogram).map((content) => ({ tag, content }));
  return tensor ? tensorShown(tag, tensorOf(tensor), plugins[tag]) : [];
}

/** SummaryMetadata.plugin_data.plugin_name. */
function pluginOf(bytes: Buffer): string | undefined {
  for (const data of fieldsOf(bytes)) {
    if (data.number !== 1 || data.type !== 2) continue;
    for (const name of fieldsOf(data.bytes)) if (name.number === 1 && name.type === 2) return name.bytes.toString("utf8");
  }
  return undefined;
}

/** Summary.Image.encoded_image_string. */
function imageOf(bytes: Buffer): Buffer[] {
  for (const field of fieldsOf(bytes)) if (field.number === 4 && field.type === 2) return [field.bytes];
  return [];
}

/** HistogramProto: each bucket ends at its limit; the outermost limits may be the largest numbers there are. */
function histogramOf(bytes: Buffer): Content[] {
  let [min, max] = [0, 0];
  const [limits, counts]: [number[], number[]] = [[], []];
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1 && field.type === 1) min = field.bytes.readDoubleLE();
    else if (field.number === 2 && field.type === 1) max = field.bytes.readDoubleLE();
    else if (field.number === 6) limits.push(...numbersIn(field, "double"));
    else if (field.number === 7) counts.push(...numbersIn(field, "double"));
  }
  const first = counts.findIndex((count) => count > 0);
  const last = counts.findLastIndex((count) => count > 0);
  if (first < 0 || limits.length !== counts.length) return [];
  const left = Math.max(limits[first - 1] ?? min, min);
  const edges = [left, ...limits.slice(first, last + 1).map((limit) => Math.max(left, Math.min(limit, max)))];
  return [{ kind: "histogram", edges, counts: counts.slice(first, last + 1) }];
}

/** What a tensor is, its plugin says; one number without a plugin is a scalar. */
function tensorShown(tag: string, { numbers, strings, shape }: Tensor, plugin: string | undefined): Shown[] {
  switch (plugin) {
    case "images": // width, height, then the images
      return strings.slice(2).map((encoded, i) => ({ tag: i === 0 ? tag : `${tag}/${i}`, content: { kind: "image", encoded } }));
    case "text":
      return strings.length === 0 ? [] : [{ tag: tag.replace(/\/text_summary$/, ""), content: textOf(strings) }];
    case "histograms":
      return shape.at(-1) === 3 && numbers.length >= 3 ? [{ tag, content: bucketsOf(numbers) }] : [];
    case "scalars":
    case undefined:
    case "":
      return numbers.length === 1 ? [{ tag, content: { kind: "scalar", value: numbers[0] as number } }] : [];
    default:
      return [];
  }
}

const textOf = (strings: Buffer[]): Content => ({ kind: "text", text: strings.map((each) => each.toString("utf8")).join("\n\n") });

/** Rows of left, right, count. */
function bucketsOf(numbers: number[]): Content {
  const rows = Array.from(
    { length: Math.floor(numbers.length / 3) },
    (_, i) => numbers.slice(i * 3, i * 3 + 3) as [number, number, number],
  );
  return { kind: "histogram", edges: [rows[0]?.[0] ?? 0, ...rows.map(([, right]) => right)], counts: rows.map(([, , count]) => count) };
}
