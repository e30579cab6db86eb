import type { Experiment, Latest, Model, Run } from "./state.js";

/** Clients that name none are told of this one, so nothing that is made is in another. */
export const EXPERIMENT_ID = "0";

const pairs = (map: Map<string, string>) => [...map].map(([key, value]) => ({ key, value }));

/** A number as MLflow's JSON has it. */
const figure = (value: number) => (Number.isFinite(value) ? value : String(value));

export function metricShape(key: string, { value, timestamp, step }: Latest): object {
  return { key, value: figure(value), timestamp, step };
}

export function infoShape(run: Run, user = ""): object {
  return {
    run_id: run.id,
    run_uuid: run.id,
    run_name: run.name,
    experiment_id: EXPERIMENT_ID,
    user_id: run.tags.get("mlflow.user") ?? user,
    status: run.status,
    start_time: run.startTime,
    ...(run.endTime === undefined ? {} : { end_time: run.endTime }),
    artifact_uri: `mlflow-artifacts:/${EXPERIMENT_ID}/${run.id}/artifacts`,
    lifecycle_stage: run.isDeleted ? "deleted" : "active",
  };
}

export function runShape(run: Run): object {
  const metrics = [...run.metrics].map(([key, latest]) => metricShape(key, latest));
  const data = { metrics, params: pairs(run.params), tags: pairs(run.tags) };
  return { info: infoShape(run), data, inputs: run.inputs, outputs: run.outputs };
}

export function experimentShape({ name, tags }: Experiment): object {
  const times = { creation_time: 0, last_update_time: 0 };
  const artifact_location = `mlflow-artifacts:/${EXPERIMENT_ID}`;
  return { experiment_id: EXPERIMENT_ID, name, artifact_location, lifecycle_stage: "active", ...times, tags: pairs(tags) };
}

export function modelShape({ info, tags, params }: Model): object {
  return { info: { ...info, tags: pairs(tags) }, data: { params: pairs(params), metrics: [] } };
}
