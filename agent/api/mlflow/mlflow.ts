import { NavvyError } from "../../../protocol/index.js";
import { discardBody } from "../body.js";
import { type Act, ANY, type Call, findRoute, type Route, sendJson } from "../call.js";
import { ARTIFACTS, putFile, sendFile } from "./artifacts.js";
import { fieldsOf, type MlflowAct } from "./asked.js";
import { EXPERIMENTS } from "./experiments.js";
import { mlflowFailure, NotHere, notHere } from "./failures.js";
import { METRICS } from "./metrics.js";
import { MODELS } from "./models.js";
import { RUNS } from "./runs.js";
import { MlflowState } from "./state.js";

/** Below what newer clients ask of newer servers: they leave it alone then. */
const VERSION = "3.0.0";
const MAX_TOLD = 5;
const DISCARD_MS = 2_000;

const INFO = { store_type: "navvy", workspaces_enabled: false, multipart_uploads_enabled: false, multipart_downloads_enabled: false };

const onState =
  (act: MlflowAct): Act =>
  async (call, names) =>
    act({ call, state: await MlflowState.of(call.attempt), fields: await fieldsOf(call) }, names);

const upload: Act = async (call, { path = "" }) => putFile(call, await MlflowState.of(call.attempt), path);
const download: Act = async (call, { path = "" }) => sendFile(call, await MlflowState.of(call.attempt), path);

const plain =
  (text: string): Act =>
  ({ response }) => {
    response.writeHead(200, { "content-type": "text/plain" }).end(text);
    return Promise.resolve(undefined);
  };

const INNER: readonly Route[] = [
  ...Object.entries({ ...EXPERIMENTS, ...RUNS, ...METRICS, ...MODELS, ...ARTIFACTS }).map(([request, act]) => {
    const [method = "", path = ""] = request.split(" ");
    return { method, path, act: onState(act) };
  }),
  { method: "PUT", path: "mlflow-artifacts/artifacts/*path", act: upload },
  { method: "POST", path: "mlflow-artifacts/artifacts/*path", act: upload },
  { method: "GET", path: "mlflow-artifacts/artifacts/*path", act: download },
  { method: "GET", path: "mlflow/server-info", act: () => Promise.resolve(INFO) },
  { method: "GET", path: "version", act: plain(VERSION) },
  { method: "GET", path: "health", act: plain("OK") },
];

/** What an MLflow client with a tracking URI asks of the server there, in MLflow's own form also where it is refused. */
const mlflow: Act = async (call, { rest = "" }) => {
  const path = rest.replace(/^(?:ajax-)?api\/[23]\.0\//, "").split("/");
  try {
    const found = findRoute(INNER, call.method, path);
    if ("act" in found) return await found.act(call, found.names);
    throw new NotHere(`${call.method} ${rest}`, true);
  } catch (error) {
    await refuse(call, error);
    return undefined;
  }
};

async function refuse(call: Call, error: unknown): Promise<void> {
  const { request, response, attempt } = call;
  const { status, ...body } = error instanceof NotHere ? notHere(error) : mlflowFailure(error);
  if (error instanceof NotHere && error.isEndpoint) await tellOnce(call, error.what).catch(() => undefined);
  if (!(error instanceof NotHere) && !(error instanceof NavvyError)) attempt.onFault(error);
  if (!request.complete) response.setHeader("connection", "close");
  sendJson(response, status, body);
  discardBody(request, DISCARD_MS);
}

/** So that people see what of MLflow a script misses. */
async function tellOnce({ attempt }: Call, what: string): Promise<void> {
  const { told } = await MlflowState.of(attempt);
  if (told.has(what) || told.size >= MAX_TOLD) return;
  told.add(what);
  await attempt.events.append([{ t: "note", level: "warn", text: `MLflow: ${what.slice(0, 200)} is not answered by navvy` }]);
}

export const MLFLOW: readonly Route[] = [{ method: ANY, path: "mlflow/*rest", act: mlflow }];
