import { TaskRecord, type TaskSpec } from "../../protocol/index.js";

/** A draft with defaults everywhere, for tests of what works on records. */
export function newTaskRecord(change: Partial<Omit<TaskRecord, "spec">> & { spec?: Partial<TaskSpec> } = {}): TaskRecord {
  const at = "2026-01-01T00:00:00.000Z";
  const { spec, ...rest } = change;
  return TaskRecord.parse({
    type: "navvy.task.v1",
    id: "01M82D6VHDGG1QVTW8SDT1ABCD",
    name: "t",
    project: "p",
    taskType: "training",
    createdAt: at,
    createdBy: "me",
    spec: { command: ["true"], ...spec },
    status: "draft",
    reason: "created",
    by: "me",
    changedAt: at,
    ...rest,
  });
}
