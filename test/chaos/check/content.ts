import { createHash } from "node:crypto";
import type { WorkPlan } from "../plan.js";
import type { Case } from "./outcomes.js";
import type { Left, LogPiece, MetricPiece, PlainRecord } from "./read.js";
import type { Violation } from "./violation.js";

/** What `worker.py` prints and leaves under a name, made anew. */
function pseudoRandom(seed: number, name: string, sizeBytes: number): Buffer {
  const count = Math.ceil(sizeBytes / 32);
  const blocks = Array.from({ length: count }, (_, i) => createHash("sha256").update(`${seed}:${name}:${i}`).digest());
  return Buffer.concat(blocks).subarray(0, sizeBytes);
}

/** Whether what reached the server is what the program wrote: whole for an attempt that ended by itself, else a beginning of it. */
export function judgeLogs({ record, submitted }: Case, left: Left): Violation[] {
  const work = submitted?.planned.work;
  const wrong = (text: string): Violation => ({ rule: "the log is byte-exact", task: record.id, text });
  return record.attempts.flatMap(({ attempt, outcome, logBytes }) => {
    const pieces = left.logs.get(`${record.id}.${attempt}`) ?? [];
    return (["out", "err"] as const).flatMap((stream) => {
      const expected = printed(work, stream);
      const { bytes, gap } = assemble(pieces.filter((piece) => piece.stream === stream));
      const name = `attempt ${attempt}, ${stream}`;
      if (!expected.subarray(0, bytes.length).equals(bytes)) return [wrong(`${name}: not what was printed (${describe(expected, bytes)})`)];
      if (outcome?.kind === "lost") return [];
      if (gap !== undefined) return [wrong(`${name}: nothing from ${bytes.length} to ${gap}`)];
      if (logBytes && logBytes[stream] !== bytes.length) return [wrong(`${name}: ${bytes.length} bytes, recorded ${logBytes[stream]}`)];
      const isWhole = outcome?.kind !== "exited" || bytes.length === expected.length;
      return isWhole ? [] : [wrong(`${name}: ${bytes.length} of ${expected.length} bytes`)];
    });
  });
}

function printed(work: WorkPlan | undefined, stream: "out" | "err"): Buffer {
  if (work?.kind !== "chatty") return Buffer.alloc(0);
  return pseudoRandom(work.seed, stream, stream === "out" ? work.bytes : Math.floor(work.bytes / 2));
}

/** Chunks may come twice and before their turn; `gap` is where the next piece begins when something is missing. */
function assemble(pieces: readonly LogPiece[]): { bytes: Buffer; gap?: number } {
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const piece of pieces.toSorted((a, b) => a.offset - b.offset)) {
    if (piece.offset > end) return { bytes: Buffer.concat(parts), gap: piece.offset };
    const fresh = piece.data.subarray(end - piece.offset);
    parts.push(fresh);
    end += fresh.length;
  }
  return { bytes: Buffer.concat(parts) };
}

function describe(expected: Buffer, bytes: Buffer): string {
  const first = bytes.findIndex((byte, i) => byte !== expected[i]);
  return `${bytes.length} of ${expected.length} bytes; they differ from ${first} on: ${JSON.stringify(bytes.subarray(first, first + 80).toString("latin1"))}`;
}

/** Whether the points of the attempt that completed are all there, each once. */
export function judgeMetrics({ record, submitted }: Case, left: Left): Violation[] {
  const work = submitted?.planned.work;
  if (work?.kind !== "metrics" || record.status !== "completed") return [];
  const wrong = (text: string): Violation => ({ rule: "the sums match", task: record.id, text });
  const expected = Array.from({ length: work.points }, (_, step) => (work.seed * 31 + step * 17) % 1009);
  const points = pointsOf(left.metrics.get(`${record.id}.${record.attempt}`) ?? []);
  const found: Violation[] = [];
  if (points.map((point) => point.step).join() !== expected.map((_, step) => step).join())
    found.push(wrong(`${points.length} of ${expected.length} points, or not in order`));
  const [sum, wanted] = [points.map((point) => point.value).reduce(add, 0), expected.reduce(add, 0)];
  if (sum !== wanted) found.push(wrong(`its points add up to ${sum}, expected ${wanted}`));
  const count = record.reported.metrics["load"]?.count;
  if (count !== expected.length) found.push(wrong(`its figures count ${count} points, expected ${expected.length}`));
  return found;
}

const add = (a: number, b: number) => a + b;

/** Those of the task itself, without what its agent measured. A batch may come twice: its number says so. */
function pointsOf(pieces: readonly MetricPiece[]): { step: number; value: number }[] {
  const bySequence = new Map(pieces.map((piece) => [piece.sequence, piece]));
  return [...bySequence.values()]
    .sort((a, b) => a.sequence - b.sequence)
    .flatMap(({ keys, key, step, value }) => {
      const [names, steps, values] = [viewOf(key), viewOf(step), viewOf(value)];
      return Array.from({ length: value.byteLength / 8 }, (_, i) => ({
        name: keys[names.getUint16(i * 2, true)] ?? "",
        step: steps.getFloat64(i * 8, true),
        value: values.getFloat64(i * 8, true),
      }));
    })
    .filter(({ name }) => !name.startsWith("system/"));
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Whether what a completed task left can be fetched, whole. */
export async function judgeArtifacts({ record, submitted }: Case, left: Left): Promise<Violation[]> {
  const work = submitted?.planned.work;
  if (record.status !== "completed") return [];
  const expected = work?.kind === "artifacts" ? Array.from({ length: work.files }, (_, i) => `part-${i}`) : [];
  const wrong = (text: string): Violation => ({ rule: "artifacts are whole", task: record.id, text });
  const names = record.reported.artifacts.map((artifact) => artifact.name).sort();
  const found = names.join() === expected.map((name) => `${name}.bin`).join() ? [] : [wrong(`it left ${names.join() || "nothing"}`)];
  for (const name of expected) {
    const artifact = record.reported.artifacts.find((each) => each.name === `${name}.bin`);
    if (!artifact || !work) continue;
    const bytes = pseudoRandom(work.seed, name, work.bytes);
    if (artifact.attempt !== record.attempt) found.push(wrong(`${name} is of attempt ${artifact.attempt}, not ${record.attempt}`));
    const stored = await left.object(artifact.sha256).catch(() => undefined);
    if (!stored || !bytes.equals(stored))
      found.push(wrong(`${name} is not what was left (${stored?.length ?? 0} of ${bytes.length} bytes)`));
  }
  return found;
}

/** Whether a controller has each child once, and the sum of what they gave. */
export function judgeSum({ record, submitted }: Case, left: Left): Violation[] {
  const work = submitted?.planned.work;
  if (work?.kind !== "controller" || record.status !== "completed") return [];
  const wrong = (text: string): Violation => ({ rule: "the sums match", task: record.id, text });
  const children = [...left.records.values()].filter((each) => each.parent === record.id);
  const sum = children.map(valueOf).reduce(add, 0);
  const wanted = Array.from({ length: work.children }, (_, i) => (i + 1) * 7).reduce(add, 0);
  const found = children.length === work.children ? [] : [wrong(`it has ${children.length} children, expected ${work.children}`)];
  if (sum !== wanted) found.push(wrong(`its children's values add up to ${sum}, expected ${wanted}`));
  if (record.reported.outputs["sum"] !== wanted)
    found.push(wrong(`it put out a sum of ${String(record.reported.outputs["sum"])}, expected ${wanted}`));
  return found;
}

const valueOf = (child: PlainRecord) => Number(child.reported.outputs["value"]);
