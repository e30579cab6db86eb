import { type Needs, needsOf } from "./needs.js";
import type { Lane } from "./subjects.js";
import type { TaskRecord } from "./task-record.js";

/**
 * A shape is the short canonical name of what a task asks of a machine. It stands in the queue's subject, so an agent pulls
 * only what fits and a large task never blocks small ones behind it.
 *
 *   cpu       nothing but a slot
 *   g2        two GPUs, whichever
 *   g2-x…     two GPUs and more that must match: the rest is a hash of all of it
 *   cpu-x…    no GPU, but something that must match
 *
 * What a hashed one asks for stands with its lane in the queue's entry.
 */
export function shapeOf(needs: Needs): string {
  const { gpus, ...more } = needs;
  const plain = gpus > 0 ? `g${gpus}` : "cpu";
  return Object.keys(more).length === 0 ? plain : `${plain}-x${hash(JSON.stringify(more))}`;
}

/** What a shape asks for by its name alone; undefined for one that is hashed, or of a newer navvy. */
export function parseShape(shape: string): Needs | undefined {
  if (shape === "cpu") return { gpus: 0 };
  const gpus = /^g([1-9]\d*)$/.exec(shape)?.[1];
  return gpus === undefined ? undefined : { gpus: Number(gpus) };
}

/** What a lane's tasks ask for; undefined when that is not known here, so that its tasks must be left alone. */
export function needsOfLane(lane: Pick<Lane, "shape" | "needs">): Needs | undefined {
  return parseShape(lane.shape) ?? lane.needs;
}

/** Where a record's ticket goes; undefined for one that was never enqueued. */
export function laneOf(record: Pick<TaskRecord, "queue" | "class" | "shape" | "spec">): Lane | undefined {
  if (record.queue === undefined) return undefined;
  const lane = { queue: record.queue, class: record.class, shape: record.shape };
  return parseShape(record.shape) ? lane : { ...lane, needs: needsOf(record.spec) };
}

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;

/**
 * FNV-1a of 64 bits: two needs that shared a shape would be taken for each other, so it is long. Written out here because
 * this folder runs anywhere and imports nothing.
 */
function hash(text: string): string {
  let value = FNV_OFFSET;
  for (const byte of new TextEncoder().encode(text)) value = BigInt.asUintN(64, (value ^ BigInt(byte)) * FNV_PRIME);
  return value.toString(36).padStart(13, "0");
}
