import { NavvyError, type TaskRecord } from "../../protocol/index.js";
import type { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";
import type { Events } from "../events.js";
import type { Journals } from "../journal.js";
import { discardReports } from "../logs/discard-reports.js";
import { notWhile } from "./refusals.js";

interface Parts {
  bus: Bus;
  bucket: Bucket<typeof TaskRecord>;
  events: Events;
  journals: Journals;
}

/** Removes a record for good, with its reports and its journal. @throws NavvyError illegal_move, conflict */
export async function removeTask({ bus, bucket, events, journals }: Parts, task: TaskRecord, options: { force?: boolean }): Promise<void> {
  if (task.status === "queued" || task.status === "running") throw notWhile(task, "deleted");
  if (task.status === "published" && !options.force)
    throw new NavvyError("illegal_move", `task ${task.id} is published`, { fix: "add --force to delete it all the same" });
  const entry = await bucket.get(task.id);
  // Before the record: one that is made again under the same id would take them for its own.
  if (entry) await discardReports(bus, entry.value);
  await journals.of(task.id).clear();
  if (!entry || !(await bucket.delete(task.id, entry.revision)))
    throw new NavvyError("conflict", `task ${task.id} changed while it was deleted`, { fix: "try again" });
  events.emit({
    kind: "task",
    id: task.id,
    event: "deleted",
    reason: "deleted",
    key: entry.revision,
    data: { name: task.name },
    parent: task.parent,
  });
}
