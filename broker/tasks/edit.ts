import { TaskRecord } from "../../protocol/index.js";
import { checkFit, graceWithin, notDraft } from "./refusals.js";
import { retagged } from "./tags.js";
import { type MoveReason, now } from "./transition.js";

/** A draft as its owner wants it. @throws NavvyError not_draft, too_large, invalid_argument */
export function edited(record: TaskRecord, change: (draft: TaskRecord) => TaskRecord, said: MoveReason): TaskRecord {
  if (record.status !== "draft") throw notDraft(record);
  const wanted = change(record);
  const next = TaskRecord.parse({
    ...retagged({ ...wanted, tags: record.tags }, { set: wanted.tags }),
    id: record.id,
    status: record.status,
    changedAt: now(),
    ...said,
  });
  next.spec.graceMs = graceWithin(next.spec, next.spec.graceMs !== record.spec.graceMs);
  checkFit(next);
  return next;
}
