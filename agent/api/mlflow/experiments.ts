import { NavvyError } from "../../../protocol/index.js";
import { type Asked, type MlflowAct, textOf } from "./asked.js";
import { required } from "./failures.js";
import { EXPERIMENT_ID, experimentShape } from "./shapes.js";

/**
 * A task is one run of one experiment. Whatever name a script gives it, it is this one: a client refuses to go on with a run that is of
 * another experiment than the one that it has set.
 */
const named = async ({ state }: Asked, name: string): Promise<object> => {
  if (name !== "" && state.experiment.name !== name) {
    state.experiment.name = name;
    await state.save();
  }
  return { experiment: experimentShape(state.experiment) };
};

const create: MlflowAct = async (asked) => {
  await named(asked, required(asked.fields, "name"));
  return { experiment_id: EXPERIMENT_ID };
};

const getByName: MlflowAct = (asked) => named(asked, required(asked.fields, "experiment_name"));

const get: MlflowAct = ({ state, fields }) => {
  const id = required(fields, "experiment_id");
  if (id !== EXPERIMENT_ID) throw new NavvyError("not_found", `No Experiment with id=${id} exists`);
  return { experiment: experimentShape(state.experiment) };
};

const search: MlflowAct = ({ state }) => ({ experiments: [experimentShape(state.experiment)] });

const update: MlflowAct = async (asked) => {
  await named(asked, textOf(asked.fields.new_name));
  return {};
};

const setTag: MlflowAct = async ({ state, fields }) => {
  state.putAll(state.experiment.tags, [[required(fields, "key"), textOf(fields.value)]]);
  await state.save();
  return {};
};

export const EXPERIMENTS: Record<string, MlflowAct> = {
  "POST mlflow/experiments/create": create,
  "GET mlflow/experiments/get-by-name": getByName,
  "GET mlflow/experiments/get": get,
  "GET mlflow/experiments/list": search,
  "POST mlflow/experiments/search": search,
  "GET mlflow/experiments/search": search,
  "POST mlflow/experiments/update": update,
  "POST mlflow/experiments/set-experiment-tag": setTag,
};
