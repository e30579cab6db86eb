import type { TaskRecord } from "../../protocol/index.js";
import type { Bus } from "../bus.js";
import type { Events } from "../events.js";
import { discardReports } from "../logs/discard-reports.js";
import type { Tasks } from "../tasks/index.js";
import { isRemovable, whyKept } from "./holdings.js";
import type { Expiry } from "./plan.js";

export interface ExpireParts {
  bus: Bus;
  tasks: Tasks;
  events: Events;
}

/**
 * Takes away what retention says, one thing at a time: first the record by compare-and-set, so that nobody is led to what is about
 * to go, then the messages. Objects go with the garbage that is collected after it. What has begun to run again, or was published
 * meanwhile, stays.
 * @returns whether it was taken away
 */
export async function expire(parts: ExpireParts, expiry: Expiry): Promise<boolean> {
  const { bus, tasks } = parts;
  const { id, kind } = expiry;
  if (kind === "tasks") return expireRecord(parts, expiry);
  const at = new Date().toISOString();
  const changed = await tasks.bucket.modify(id, (record) => {
    if (!mayGo(record) || record.expired?.[kind] !== undefined) return undefined;
    return { ...without(record, kind), expired: { ...record.expired, [kind]: at } };
  });
  // Also when somebody ended right after that, earlier or elsewhere.
  if (changed?.value.expired?.[kind] === undefined || !mayGo(changed.value)) return false;
  if (kind !== "artifacts") await discardReports(bus, changed.value, [kind === "logs" ? "log" : "metric"]);
  if (changed.value.expired[kind] === at) say(parts, expiry, changed.revision);
  return true;
}

async function expireRecord(parts: ExpireParts, expiry: Expiry): Promise<boolean> {
  const { bus, tasks } = parts;
  const entry = await tasks.bucket.get(expiry.id);
  if (!entry || !mayGo(entry.value) || !(await tasks.bucket.delete(expiry.id, entry.revision))) return false;
  await discardReports(bus, entry.value);
  say(parts, expiry, entry.revision);
  return true;
}

const mayGo = (record: TaskRecord) => isRemovable(record) && whyKept(record) === undefined;

function without(record: TaskRecord, kind: Exclude<Expiry["kind"], "tasks">): TaskRecord {
  if (kind === "artifacts") return { ...record, reported: { ...record.reported, artifacts: [] } };
  if (kind === "metrics") return record; // the figures of each metric are the record's own
  return { ...record, attempts: record.attempts.map(({ log: _log, ...attempt }) => attempt) };
}

function say({ events }: ExpireParts, { id, kind, why, name }: Expiry, revision: number): void {
  const event = kind === "tasks" ? "deleted" : "expired";
  events.emit({ kind: "task", id, event, reason: `retention, ${why}`, key: `${revision}.${kind}`, data: { name, what: kind } });
}
