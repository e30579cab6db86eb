import { randomBytes } from "node:crypto";
import { NavvyError } from "../../../protocol/index.js";
import { type Asked, type MlflowAct, pairsOf } from "./asked.js";
import { required } from "./failures.js";
import { EXPERIMENT_ID, modelShape } from "./shapes.js";
import { folderName, type Model } from "./state.js";

const MAX_MODELS = 1_000;

const textOfShort = (value: unknown) => (typeof value === "string" ? value.slice(0, 200) : "");

function modelOf({ state }: Asked, id = ""): Model {
  const model = state.models.get(id);
  if (model) return model;
  throw new NavvyError("not_found", `Logged model with ID '${id}' not found`);
}

/** MLflow 3 logs a model apart from its run: its files go to `models/<name>` among the artifacts. */
const create: MlflowAct = async ({ state, fields }) => {
  if (state.models.size >= MAX_MODELS) throw new NavvyError("invalid_argument", `a task can log at most ${MAX_MODELS} models`);
  const id = `m-${randomBytes(16).toString("hex")}`;
  const name = textOfShort(fields.name) || id;
  const taken = new Set([...state.models.values()].map((model) => model.folder));
  const plain = `models/${folderName(name)}`;
  const times = { creation_timestamp_ms: Date.now(), last_updated_timestamp_ms: Date.now() };
  const { source_run_id, model_type } = fields;
  const short = { source_run_id: textOfShort(source_run_id), model_type: textOfShort(model_type) };
  const given = Object.fromEntries(Object.entries(short).filter(([, value]) => value !== ""));
  const artifact_uri = `mlflow-artifacts:/${EXPERIMENT_ID}/models/${id}/artifacts`;
  const info = { model_id: id, experiment_id: EXPERIMENT_ID, name, artifact_uri, status: "LOGGED_MODEL_PENDING", ...times, ...given };
  const folder = taken.has(plain) ? `${plain}-${id.slice(2, 10)}` : plain;
  const model: Model = { id, folder, info, tags: new Map(), params: new Map() };
  for (const what of ["tags", "params"] as const) state.putAll(model[what], pairsOf(fields[what]));
  state.models.set(id, model);
  await state.save();
  return { model: modelShape(model) };
};

const get: MlflowAct = (asked, { id }) => ({ model: modelShape(modelOf(asked, id)) });

const finalize: MlflowAct = async (asked, { id }) => {
  const model = modelOf(asked, id);
  model.info = { ...model.info, status: required(asked.fields, "status"), last_updated_timestamp_ms: Date.now() };
  await asked.state.save();
  return { model: modelShape(model) };
};

const add =
  (what: "tags" | "params"): MlflowAct =>
  async (asked, { id }) => {
    asked.state.putAll(modelOf(asked, id)[what], pairsOf(asked.fields[what]));
    await asked.state.save();
    return {};
  };

const deleteTag: MlflowAct = async (asked, { id, key = "" }) => {
  modelOf(asked, id).tags.delete(key);
  await asked.state.save();
  return {};
};

const search: MlflowAct = ({ state }) => ({ models: [...state.models.values()].reverse().map(modelShape) });

export const MODELS: Record<string, MlflowAct> = {
  "POST mlflow/logged-models": create,
  "POST mlflow/logged-models/search": search,
  "GET mlflow/logged-models/:id": get,
  "PATCH mlflow/logged-models/:id": finalize,
  "PATCH mlflow/logged-models/:id/tags": add("tags"),
  "DELETE mlflow/logged-models/:id/tags/:key": deleteTag,
  "POST mlflow/logged-models/:id/params": add("params"),
};
