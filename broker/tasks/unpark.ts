import type { TaskRecord } from "../../protocol/index.js";
import type { Bucket } from "../bucket.js";
import { now, requeued } from "./transition.js";

export interface Wake {
  reason: string;
  by: string;
  /** Only while it is parked under this ticket: whoever was told of it by that has not missed anything since. */
  ticket?: number;
}

/**
 * Wakes a parked task: a new ticket, in front. One that runs is marked instead and will not park this time, since it may have looked
 * for what it is woken for a moment too early.
 * @returns the record as it was changed; undefined when there was nothing to wake
 */
export async function unparkTask(
  bucket: Bucket<typeof TaskRecord>,
  id: string,
  wake: Wake,
): Promise<{ value: TaskRecord; revision: number } | undefined> {
  let isChanged = false;
  const changed = await bucket.modify(id, (record) => {
    const next = woken(record, wake);
    isChanged = next !== undefined;
    return next;
  });
  return isChanged ? changed : undefined;
}

function woken(record: TaskRecord, { reason, by, ticket }: Wake): TaskRecord | undefined {
  const isMeant = ticket === undefined || ticket === record.ticket;
  if (record.status === "queued" && record.parked && isMeant)
    return requeued(record, { reason: `woken: ${reason}`, by, patch: { class: "front" } });
  if (record.status === "running" && ticket === undefined) return { ...record, wokenAt: now() };
  return undefined;
}
