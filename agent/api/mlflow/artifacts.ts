import { posix } from "node:path";
import { NavvyError } from "../../../protocol/index.js";
import { artifactsOf } from "../artifacts.js";
import type { Call } from "../call.js";
import { sendStream, upTo } from "../stream.js";
import { type MlflowAct, textOf } from "./asked.js";
import { NotHere, required } from "./failures.js";
import type { MlflowState } from "./state.js";

/**
 * Where a path below `mlflow-artifacts:/` lies among the task's artifacts: `0/<run>/artifacts/…`, `0/models/<model>/artifacts/…`.
 * @throws NavvyError not_found
 */
function placeOf(state: MlflowState, path: string): string {
  const [, run, runRest] = /^[^/]+\/([^/]+)\/artifacts(?:\/(.*))?$/.exec(path) ?? [];
  const [, model, modelRest] = /^[^/]+\/models\/([^/]+)\/artifacts(?:\/(.*))?$/.exec(path) ?? [];
  const folder = model === undefined ? run && state.runs.get(run)?.prefix : state.models.get(model)?.folder;
  if (folder === undefined) throw new NavvyError("not_found", `there is no run or model of this task at ${path.slice(0, 200)}`);
  return [folder.replace(/\/$/, ""), (model === undefined ? runRest : modelRest)?.replace(/\/$/, "")].filter(Boolean).join("/");
}

/** A file of a run as it comes. */
export async function putFile(call: Call, state: MlflowState, path: string): Promise<object> {
  await artifactsOf(call.attempt).write(placeOf(state, path), call.request);
  return {};
}

/** A file of a run, from the artifacts folder. */
export async function sendFile(call: Call, state: MlflowState, path: string): Promise<undefined> {
  const { handle, sizeBytes } = await artifactsOf(call.attempt).open(placeOf(state, path));
  await sendStream(call.response, handle.createReadStream(upTo(sizeBytes)), { sizeBytes });
  return undefined;
}

/** Names in what is listed: as they stand there. */
const list: MlflowAct = async ({ call, state, fields }) => {
  const entries = await artifactsOf(call.attempt).list(placeOf(state, textOf(fields.path)));
  return {
    files: entries.map(({ name, isFolder, sizeBytes }) => ({
      path: name,
      is_dir: isFolder,
      ...(isFolder ? {} : { file_size: sizeBytes }),
    })),
  };
};

/** Of a run: paths as they stand in the run. */
const listOfRun: MlflowAct = async ({ call, state, fields }) => {
  const run = state.run(textOf(fields.run_id) || required(fields, "run_uuid"));
  const path = textOf(fields.path).replace(/\/$/, "");
  const root = `0/${run.id}/artifacts`;
  const entries = await artifactsOf(call.attempt).list(placeOf(state, path === "" ? root : `${root}/${path}`));
  const files = entries.map(({ name, isFolder, sizeBytes }) => ({
    path: posix.join(path, name),
    is_dir: isFolder,
    ...(isFolder ? {} : { file_size: sizeBytes }),
  }));
  return { root_uri: `mlflow-artifacts:/${root}`, files };
};

const refused =
  (what: string): MlflowAct =>
  () => {
    throw new NotHere(what, false);
  };

export const ARTIFACTS: Record<string, MlflowAct> = {
  "GET mlflow-artifacts/artifacts": list,
  "GET mlflow/artifacts/list": listOfRun,
  // A client that is told so sends the file as a whole.
  "POST mlflow-artifacts/mpu/*what": refused("an upload in parts"),
  "DELETE mlflow-artifacts/artifacts/*path": refused("the removal of artifacts"),
};
