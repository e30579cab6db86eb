import { type Attempt, decode, LogChunk, type RolledLog, type TaskRecord } from "../../protocol/index.js";
import type { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";
import { follow } from "../follow.js";
import type { Objects } from "../objects.js";
import type { PulledMessage } from "../pull.js";
import { discard } from "./discard.js";
import { packFrames } from "./frames.js";

export interface RollParts {
  bus: Bus;
  bucket: Bucket<typeof TaskRecord>;
  objects: Objects;
}

/** Which attempt's log. */
export interface RollTarget {
  id: string;
  attempt: number;
}

/**
 * What became of it. `rolled`: it stands in an object, and the stream's copy is gone. `not_over`: its attempt runs, or what its
 * agent says it printed is not all there yet. `unknown`: no record names this attempt, or its log has expired. `empty`: the stream has nothing of it.
 */
export type Roll = "rolled" | "not_over" | "unknown" | "empty";

/** What an agent said it shipped may be behind on a copy of the stream; after that what there is counts as all. */
const COMPLETE_WITHIN_MS = 10 * 60_000;
/** A machine that was lost may wake up and ship for a moment more. */
const LOST_WITHIN_MS = 60_000;

/**
 * Rolls the log of an attempt that is over into one object, and takes it out of the stream.
 *
 * Order matters: object, reference in the record by compare-and-set, and only then the messages, no further than the object that
 * the record names reaches. So it can be ended anywhere and done again, by several at once: whoever comes second finds the
 * reference, and takes away what it covers.
 * @throws NavvyError disk_full, timeout, nats_unreachable, permission_denied, too_large (the record has no room for the reference)
 */
export async function rollLog(parts: RollParts, target: RollTarget): Promise<Roll> {
  const record = (await parts.bucket.get(target.id))?.value;
  const entry = record && entryOf(record, target.attempt);
  if (!record || !entry || record.expired?.logs !== undefined) return "unknown";
  if (entry.log) return clear(parts, target, entry.log);
  if (!isOver(record, entry)) return "not_over";
  const packed = await pack(parts, target);
  if (!packed) return "empty";
  if (!isComplete(record, entry, packed)) return "not_over";
  const changed = await parts.bucket.modify(target.id, (now) => withLog(now, target.attempt, packed));
  const recorded = changed && entryOf(changed.value, target.attempt)?.log;
  return recorded ? clear(parts, target, recorded) : "unknown";
}

async function clear({ bus }: RollParts, { id, attempt }: RollTarget, { upTo }: RolledLog): Promise<Roll> {
  await discard(bus, { stream: bus.assets.streams.log.name, subject: bus.subjects.log(id, attempt), upTo });
  return "rolled";
}

interface Packed extends RolledLog {
  /** All from the first byte to where it reaches, by stream. */
  whole: (stream: string) => number;
}

/** Stores what the stream has of it. Chunks that came twice are left out, all others stay as they are. */
async function pack({ bus, objects }: RollParts, { id, attempt }: RollTarget): Promise<Packed | undefined> {
  const coverage = new Coverage();
  let upTo = 0;
  const source = follow(bus, {
    stream: bus.assets.streams.log.name,
    subject: bus.subjects.log(id, attempt),
    from: "start",
    untilCaughtUp: true,
  });
  const first = await source.next();
  if (first.done) return undefined;
  async function* messages() {
    yield first.value as PulledMessage;
    yield* source;
  }
  async function* chunks() {
    for await (const { data, subject, sequence } of messages()) {
      upTo = sequence;
      if (coverage.add(decode(LogChunk, data, subject))) yield data;
    }
  }
  const { sha256, sizeBytes } = await objects.putStream(packFrames({ task: id, attempt }, chunks()));
  return { sha256, sizeBytes, bytes: coverage.ends, upTo, whole: (stream) => coverage.whole(stream) };
}

function withLog(record: TaskRecord, attempt: number, { sha256, sizeBytes, bytes, upTo }: Packed): TaskRecord | undefined {
  const entry = entryOf(record, attempt);
  if (!entry || entry.log || record.expired?.logs !== undefined || !isOver(record, entry)) return undefined;
  const log: RolledLog = { sha256, sizeBytes, bytes, upTo };
  return { ...record, attempts: record.attempts.map((each) => (each === entry ? { ...each, log } : each)) };
}

const entryOf = (record: TaskRecord, attempt: number) => record.attempts.find((each) => each.attempt === attempt);

/** It is over, and nobody ships more of it. */
function isOver(record: TaskRecord, entry: Attempt): boolean {
  if (record.status === "running" && record.attempt === entry.attempt) return false;
  return entry.logBytes !== undefined || overForMs(record, entry) > LOST_WITHIN_MS;
}

function isComplete(record: TaskRecord, entry: Attempt, packed: Packed): boolean {
  const isAllThere = Object.entries(entry.logBytes ?? {}).every(([stream, count]) => packed.whole(stream) >= count);
  return isAllThere || overForMs(record, entry) > COMPLETE_WITHIN_MS;
}

const overForMs = (record: TaskRecord, entry: Attempt) => Date.now() - Date.parse(entry.endedAt ?? record.changedAt);

/** What of each stream has come: chunks may come twice or before their turn. */
class Coverage {
  readonly #streams = new Map<string, { next: number; end: number; early: Map<number, number> }>();

  /** @returns false when all of it was there already */
  add({ stream, offset, data, omitted }: LogChunk): boolean {
    const state = this.#streams.get(stream) ?? { next: 0, end: 0, early: new Map<number, number>() };
    this.#streams.set(stream, state);
    const end = offset + (omitted ?? data.length);
    if (end <= state.next || (state.early.get(offset) ?? 0) >= end) return false;
    state.end = Math.max(state.end, end);
    if (offset > state.next) {
      state.early.set(offset, end);
      return true;
    }
    for (let next: number | undefined = end; next !== undefined; next = state.early.get(state.next)) {
      state.early.delete(state.next);
      state.next = Math.max(state.next, next);
    }
    return true;
  }

  whole(stream: string): number {
    return this.#streams.get(stream)?.next ?? 0;
  }

  get ends(): Record<string, number> {
    return Object.fromEntries([...this.#streams].map(([stream, { end }]) => [stream, end]));
  }
}
