import { findModel, type Model, modelsOf } from "../../../broker/index.js";
import type { Call, Handler } from "../../call.js";
import type { View } from "../../output/output.js";
import { age, size } from "../../output/quantities.js";
import { shortId } from "../../output/words.js";
import { place } from "../artifact/place.js";
import type { ModelGetOptions, ModelListOptions } from "../model.js";

/** A model as it is printed. */
type ModelRow = { name: string; version: string; task: string; taskName: string; project: string } & Model["ref"];

const MODEL_VIEW: View<ModelRow> = {
  kind: "model",
  name: (model) => `${model.name}@${model.version}`,
  empty: "no models: a task reports one by an artifact of kind model",
  columns: [
    { title: "MODEL", value: (model) => model.name, isFlexible: true },
    { title: "VERSION", value: (model) => model.version },
    { title: "SIZE", value: (model) => size(model.sizeBytes), align: "right" },
    { title: "TASK", value: (model) => `${model.taskName} (${shortId(model.task)})` },
    { title: "PROJECT", value: (model) => model.project },
    { title: "AGE", value: (model) => age(model.uploadedAt), align: "right" },
    { title: "SHA256", value: (model) => model.sha256.slice(0, 12) },
  ],
};

/** `navvy model ls [NAME]` */
export const list: Handler<[string | undefined], ModelListOptions> = async (call, name) => {
  const models = await allModels(call, call.options.project);
  call.out.list(MODEL_VIEW, models.filter((model) => name === undefined || model.name === name).map(rowOf));
};

/** `navvy model get NAME[@VERSION] [--to PATH]` */
export const get: Handler<[string], ModelGetOptions> = async (call, reference) => {
  const model = findModel(await allModels(call), reference);
  const path = await place(model.ref.name, call.options.to);
  await (await call.navvy()).artifacts.fetch(model.ref, path);
  call.out.show(MODEL_VIEW, { ...rowOf(model), file: path } as ModelRow, () => `${path}  ${size(model.ref.sizeBytes)}`);
};

/** Of tasks that are not archived. */
export async function allModels(call: Call<unknown>, project?: string): Promise<Model[]> {
  const navvy = await call.navvy();
  return modelsOf(await navvy.tasks.list(project === undefined ? {} : { project }), navvy.artifacts);
}

function rowOf({ name, version, task, ref }: Model): ModelRow {
  return { ...ref, name, version, task: task.id, taskName: task.name, project: task.project };
}
