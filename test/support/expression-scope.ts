import type { Scope, StepView } from "../../controller/expression/index.js";
import { isNavvyError, TaskRecord } from "../../protocol/index.js";

const summary = (last: number) => ({ last, lastStep: 9, min: last - 1, minStep: 2, max: last + 1, maxStep: 7, count: 10 });

function record(id: string, of: Partial<TaskRecord["reported"]> = {}, spec: Partial<TaskRecord["spec"]> = {}): TaskRecord {
  return TaskRecord.parse({
    type: "navvy.task.v1",
    id,
    name: `task ${id}`,
    project: "lab",
    taskType: "training",
    tags: ["a"],
    createdAt: "2026-01-01T00:00:00Z",
    createdBy: "me",
    spec: { command: ["true"], parameters: { General: { lr: 0.1 }, Data: { name: "iris" } }, ...spec },
    status: "completed",
    reason: "",
    by: "me",
    changedAt: "2026-01-01T00:00:00Z",
    reported: { outputs: {}, metrics: {}, metricsOmitted: 0, artifacts: [], notes: [], ...of },
  });
}

const artifact = (name: string, more = {}) => ({
  name,
  sha256: "ab12",
  sizeBytes: 12,
  attempt: 1,
  uploadedAt: `2026-01-01T00:00:0${name.length}Z`,
  ...more,
});

const prep = record(
  "P1",
  {
    outputs: { rows: 150, accuracy: "0.93", ok: "true", list: [1, 2, 3], map: { "a b": 1 } },
    metrics: { "val/acc": summary(0.9), "val-loss": summary(2), "a.b": summary(5), loss: summary(4) },
    artifacts: [
      artifact("data"),
      artifact("model.pt", { kind: "model", store: "s3://b/p?region=x" }),
      artifact("best.ckpt", { kind: "model", version: "v2" }),
    ],
  },
  { inputs: { base: { sha256: "cd", sizeBytes: 3, from: { task: "T0", artifact: "raw data" } } } },
);
/** Of the step `train`. */
export const member = (index: number, accuracy?: number): StepView => ({
  name: "train",
  state: "completed",
  task: record(`M${index}`, { metrics: accuracy === undefined ? {} : { accuracy: summary(accuracy) }, artifacts: [artifact("model")] }),
  matrix: { lr: index / 10 },
});
const steps: Record<string, StepView> = {
  prep: { name: "prep", state: "completed", task: prep },
  "my-step": { name: "my-step", state: "cached", task: prep },
  train: { name: "train", state: "completed", members: [member(0, 0.7), member(1, 0.9), member(2), member(3, Number.NaN)] },
  off: { name: "off", state: "skipped" },
};
/** Steps `prep`, `my-step`, `train` (four members) and `off` (skipped), and some parameters. */
export const scope: Scope = {
  params: {
    epochs: 10,
    lr: 0.001,
    name: "it's",
    deploy: true,
    lrs: [1e-3, 3e-4],
    n: 3,
    some: { deep: ["x"] },
    "batch-size": 8,
    none: null,
    text: "5",
  },
  run: { id: "R1", name: "nightly", project: "lab", version: "1.0.0", number: 7, startedAt: "2026-01-01T00:00:00Z" },
  matrix: { lr: 0.5 },
  round: 2,
  step: (name) => steps[name],
  status: { success: true, failure: false },
  pathOf: (view, name) => `\${inputs.${view.task?.id}_${name}}`,
  now: "2026-02-03T00:00:00Z",
};
/** What is thrown, an error of ours. */
export function errorOf(read: () => unknown): Error & { code?: string } {
  try {
    read();
  } catch (error) {
    if (isNavvyError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
