import { type Asked, type MlflowAct, pairsOf, textOf, wholeOf } from "./asked.js";
import { required } from "./failures.js";
import { type Logged, logPoints, pointOf } from "./metrics.js";
import { filterOf } from "./search.js";
import { infoShape, runShape } from "./shapes.js";
import { MAX_VALUE, type Run } from "./state.js";

const MAX_KEPT_BYTES = 64 * 1024;
const PARENT = "mlflow.parentRunId";
const NAME = "mlflow.runName";

const runOf = ({ state, fields }: Asked) => state.run(textOf(fields.run_id) || required(fields, "run_uuid"));

const create: MlflowAct = async ({ state, fields }) => {
  const tags = pairsOf(fields.tags);
  const tag = new Map(tags);
  const run = state.create({ name: textOf(fields.run_name) || tag.get(NAME), parent: tag.get(PARENT) });
  state.putAll(run.tags, tags);
  run.tags.set(NAME, run.name);
  if (typeof fields.user_id === "string" && fields.user_id !== "") run.tags.set("mlflow.user", fields.user_id);
  run.startTime = wholeOf(fields.start_time) ?? run.startTime;
  await state.save();
  return { run: runShape(run) };
};

const get: MlflowAct = (asked) => ({ run: runShape(runOf(asked)) });

const update: MlflowAct = async (asked) => {
  const { fields, state } = asked;
  const run = taken(runOf(asked));
  const name = textOf(fields.run_name);
  if (name) {
    run.name = name;
    run.tags.set(NAME, name);
  }
  if (typeof fields.status === "string") run.status = fields.status;
  const endTime = wholeOf(fields.end_time);
  if (endTime) run.endTime = endTime;
  await state.save();
  return { run_info: infoShape(run) };
};

const setDeleted =
  (isDeleted: boolean): MlflowAct =>
  async (asked) => {
    runOf(asked).isDeleted = isDeleted;
    await asked.state.save();
    return {};
  };

/** Runs that are active and that the filter takes, the latest first. */
const search: MlflowAct = ({ state, fields }) => {
  const takes = filterOf(textOf(fields.filter));
  const isDeletedWanted = { DELETED_ONLY: [true], ALL: [true, false] }[textOf(fields.run_view_type)] ?? [false];
  const runs = [...state.runs.values()].filter((run) => isDeletedWanted.includes(run.isDeleted) && takes(run)).reverse();
  return { runs: runs.slice(0, wholeOf(fields.max_results) ?? 1_000).map(runShape) };
};

const logMetric: MlflowAct = (asked) => logAll(asked, { metrics: [pointOf(asked.fields)] });

const logBatch: MlflowAct = (asked) => {
  const { metrics, params, tags } = asked.fields;
  const points = (Array.isArray(metrics) ? metrics : []).map((one: unknown) => pointOf((one ?? {}) as Record<string, unknown>));
  return logAll(asked, { metrics: points, params: pairsOf(params), tags: pairsOf(tags) });
};

const logParam: MlflowAct = (asked) => logAll(asked, { params: [[required(asked.fields, "key"), textOf(asked.fields.value)]] });

const setTag: MlflowAct = (asked) => logAll(asked, { tags: [[required(asked.fields, "key"), textOf(asked.fields.value)]] });

const deleteTag: MlflowAct = async (asked) => {
  runOf(asked).tags.delete(required(asked.fields, "key"));
  await asked.state.save();
  return {};
};

/** A parameter that is logged again has its latest value: a script that goes on after an interruption does so. */
async function logAll(
  asked: Asked,
  { metrics = [], params = [], tags = [] }: { metrics?: Logged[]; params?: [string, string][]; tags?: [string, string][] },
): Promise<object> {
  const { state, call } = asked;
  const run = taken(runOf(asked));
  const isNew = ([key, value]: [string, string]) => run.params.get(key) !== value;
  const lines = params.filter(isNew).map(([k, v]) => ({ t: "param", k: `${run.prefix}${k}`.slice(0, 256), v: v.slice(0, MAX_VALUE) }));
  await call.attempt.events.append([...lines, ...logPoints(run, metrics)]);
  state.putAll(run.params, params);
  state.putAll(run.tags, tags);
  if (params.length + tags.length > 0) await state.save();
  else state.saveLater();
  return {};
}

/** The model's own description, in the tag where MLflow keeps it. */
const logModel: MlflowAct = async (asked) => {
  const { tags } = taken(runOf(asked));
  const history: unknown = JSON.parse(tags.get("mlflow.log-model.history") ?? "[]");
  const next = JSON.stringify([...(Array.isArray(history) ? (history as unknown[]) : []), parsed(textOf(asked.fields.model_json))]);
  if (next.length <= MAX_KEPT_BYTES) tags.set("mlflow.log-model.history", next);
  await asked.state.save();
  return {};
};

/** Data sets and models that went in, models that came out. */
const logLinks =
  (side: "inputs" | "outputs"): MlflowAct =>
  async (asked) => {
    const run = taken(runOf(asked));
    const { datasets, models } = asked.fields;
    const kept = run[side];
    const given = side === "inputs" ? { dataset_inputs: datasets, model_inputs: models } : { model_outputs: models };
    for (const [name, list] of Object.entries(given)) {
      const all = [...((kept[name] as unknown[] | undefined) ?? []), ...(Array.isArray(list) ? (list as unknown[]) : [])];
      if (all.length > 0 && JSON.stringify(all).length <= MAX_KEPT_BYTES) kept[name] = all;
    }
    await asked.state.save();
    return {};
  };

function taken(run: Run): Run {
  run.isTaken = true;
  return run;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export const RUNS: Record<string, MlflowAct> = {
  "POST mlflow/runs/create": create,
  "GET mlflow/runs/get": get,
  "POST mlflow/runs/update": update,
  "POST mlflow/runs/delete": setDeleted(true),
  "POST mlflow/runs/restore": setDeleted(false),
  "POST mlflow/runs/search": search,
  "POST mlflow/runs/log-metric": logMetric,
  "POST mlflow/runs/log-batch": logBatch,
  "POST mlflow/runs/log-parameter": logParam,
  "POST mlflow/runs/set-tag": setTag,
  "POST mlflow/runs/delete-tag": deleteTag,
  "POST mlflow/runs/log-model": logModel,
  "POST mlflow/runs/log-inputs": logLinks("inputs"),
  "POST mlflow/runs/outputs": logLinks("outputs"),
};
