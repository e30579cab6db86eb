import { afterAll, beforeAll, expect, test } from "vitest";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { type Nats, startNats } from "../support/nats.js";

/*
 * MLflow's and Hugging Face's clients can not be installed here: these requests are written out by hand, with the methods, paths, headers
 * and bodies that their code sends (MLflow's REST store of 2.x and 3.x over `requests`; the Kubeflow callback of transformers over urllib).
 */
let nats: Nats;
let agent: AgentProcess;
let fleet: Client;
beforeAll(async () => {
  nats = await startNats();
  agent = await spawnAgent(nats, { slots: 3 });
  fleet = await client(nats);
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

/** `api(method, endpoint, fields)` as MLflow's client does it: fields of a GET in the query, of all else as JSON. */
const CLIENT = `
import json, os, urllib.error, urllib.parse, urllib.request
HEADERS = {"User-Agent": "mlflow-python-client/2.22.0", "Accept-Encoding": "gzip, deflate", "Accept": "*/*", "Connection": "keep-alive"}
BASE = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")
def http(method, path, data=None, headers={}):
    request = urllib.request.Request(BASE + path, data=data, headers={**HEADERS, **headers}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()
def api(method, endpoint, fields={}):
    path = "/api/2.0/mlflow/" + endpoint
    if method == "GET":
        status, body = http("GET", path + "?" + urllib.parse.urlencode(fields))
    else:
        status, body = http(method, path, json.dumps(fields).encode(), {"Content-Type": "application/json"})
    return json.loads(body) if status == 200 else (status, json.loads(body))
def say(*values):
    print(json.dumps(values[0] if len(values) == 1 else values))
def lines():
    return [json.loads(line) for line in open(os.environ["NAVVY_DIR"] + "/events-http.jsonl")]
`;

async function python(code: string, env: Record<string, string> = {}) {
  const id = await fleet.submit(["python3", "-c", CLIENT + code], { name: "trained", spec: { env } });
  const ended = await fleet.ended(id);
  expect(await fleet.logOf(id, "err")).toBe("");
  const said = (await fleet.logOf(id))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { ...ended, said };
}

test("a logger's run is the task: metrics become scalars, parameters are kept, and both are read back", async () => {
  const { id, said } = await python(`
say(api("GET", "experiments/get-by-name", {"experiment_name": "digits"})["experiment"])
say(api("POST", "runs/create", {"experiment_id": "0", "user_id": "ann", "run_name": "first", "start_time": 1795336200000,
  "tags": [{"key": "mlflow.user", "value": "ann"}, {"key": "mlflow.source.name", "value": "train.py"}, {"key": "mlflow.runName", "value": "first"}]})["run"]["info"])
run = os.environ["NAVVY_TASK_ID"]
say(api("POST", "runs/log-metric", {"run_uuid": run, "run_id": run, "key": "loss", "value": 0.5, "timestamp": 1795336201000, "step": 1}))
say(api("POST", "runs/log-batch", {"run_id": run, "metrics": [{"key": "loss", "value": 0.25, "timestamp": 1795336202000, "step": 2},
  {"key": "val/acc", "value": "NaN", "timestamp": "1795336202000", "step": "2"}, {"key": "worst", "value": "-Infinity", "timestamp": 1795336202000, "step": 0}],
  "params": [{"key": "lr", "value": "0.1"}, {"key": "optimizer", "value": "adamw"}], "tags": [{"key": "team", "value": "vision"}]}))
say(api("POST", "runs/log-parameter", {"run_uuid": run, "run_id": run, "key": "seed", "value": "7"}))
say(api("POST", "runs/set-tag", {"run_uuid": run, "run_id": run, "key": "gone", "value": "soon"}), api("POST", "runs/delete-tag", {"run_id": run, "key": "gone"}))
say(api("GET", "runs/get", {"run_uuid": run, "run_id": run})["run"]["data"])
say(api("GET", "metrics/get-history", {"run_uuid": run, "run_id": run, "metric_key": "loss"})["metrics"])
say(api("POST", "runs/update", {"run_uuid": run, "run_id": run, "status": "FINISHED", "end_time": 1795336300000})["run_info"])
say(lines())
`);
  const [experiment, info, metric, batch, param, tags, data, history, end, lines] = said;
  expect(experiment).toMatchObject({ experiment_id: "0", name: "digits", lifecycle_stage: "active" });
  expect(info).toMatchObject({
    ...{ run_id: id, run_uuid: id, run_name: "first", experiment_id: "0", status: "RUNNING", user_id: "ann", lifecycle_stage: "active" },
    ...{ start_time: 1795336200000, artifact_uri: `mlflow-artifacts:/0/${id}/artifacts` },
  });
  expect([metric, batch, param, tags]).toEqual([{}, {}, {}, [{}, {}]]);
  expect(data.metrics).toContainEqual({ key: "loss", value: 0.25, timestamp: 1795336202000, step: 2 });
  expect(data.metrics).toContainEqual({ key: "val/acc", value: "NaN", timestamp: 1795336202000, step: 2 });
  expect(data.params).toEqual([
    { key: "lr", value: "0.1" },
    { key: "optimizer", value: "adamw" },
    { key: "seed", value: "7" },
  ]);
  expect(data.tags).toContainEqual({ key: "team", value: "vision" });
  expect(data.tags).not.toContainEqual(expect.objectContaining({ key: "gone" }));
  expect(history.map(({ value, step }: { value: number; step: number }) => [value, step])).toEqual([
    [0.5, 1],
    [0.25, 2],
  ]);
  expect(end).toMatchObject({ status: "FINISHED", end_time: 1795336300000 });
  expect(lines).toEqual([
    { t: "scalar", k: "loss", v: 0.5, step: 1, ts: 1795336201 },
    { t: "param", k: "lr", v: "0.1" },
    { t: "param", k: "optimizer", v: "adamw" },
    { t: "scalar", k: "loss", v: 0.25, step: 2, ts: 1795336202 },
    { t: "scalar", k: "val/acc", v: "nan", step: 2, ts: 1795336202 },
    { t: "scalar", k: "worst", v: "-inf", step: 0, ts: 1795336202 },
    { t: "param", k: "seed", v: "7" },
  ]);
});

test("runs below it have a prefix of their own, and are found by their tags", async () => {
  const { id, said } = await python(`
def create(name, parent=None):
    tags = [{"key": "mlflow.runName", "value": name}] + ([{"key": "mlflow.parentRunId", "value": parent}] if parent else [])
    return api("POST", "runs/create", {"experiment_id": "0", "user_id": "", "start_time": 1, "tags": tags, "run_name": name})["run"]["info"]["run_id"]
own = create("search")
children = [create("trial/1", own), create("trial/1", own)]
fold = create("fold", children[0])
for i, run in enumerate([own, *children, fold]):
    api("POST", "runs/log-metric", {"run_id": run, "key": "loss", "value": i, "timestamp": 1000, "step": 0})
found = api("POST", "runs/search", {"experiment_ids": ["0"], "filter": "tags.\\"mlflow.parentRunId\\" = '" + own + "' and metrics.loss < 2", "run_view_type": "ACTIVE_ONLY", "max_results": 1000})
say([own, children, fold], [run["info"]["run_id"] for run in found["runs"]], [line["k"] for line in lines()])
say(api("POST", "runs/search", {"experiment_ids": ["0"], "filter": "tags.a LIKE 'x%'"}))
say(api("POST", "runs/log-batch", {"run_id": own, "metrics": [{"key": "loss", "value": "much", "timestamp": 1, "step": 0}]}))
`);
  const [[[own, children], found, keys], like, much] = said;
  expect(own).toBe(id);
  expect(found).toEqual([children[0]]);
  expect(keys).toEqual(["loss", "trial_1/loss", "trial_1-2/loss", "trial_1/fold/loss"]);
  expect(like).toMatchObject([400, { error_code: "INVALID_PARAMETER_VALUE" }]);
  expect(much).toMatchObject([400, { error_code: "INVALID_PARAMETER_VALUE" }]);
});

test("artifacts go through the agent into the task's own, and come back", async () => {
  const { said, reported } = await python(`
run = os.environ["NAVVY_TASK_ID"]
root = "/api/2.0/mlflow-artifacts/artifacts/0/" + run + "/artifacts/"
put = lambda path, data, kind: http("PUT", path, data, {"Content-Type": kind, "Content-Length": str(len(data))})
say(put(root + "model/MLmodel", b"flavors: {}", "text/plain")[0], put(root + "model/weights.bin", b"x" * 2_000_000, "application/octet-stream")[0],
    put(root + "../../../../../x", b"", "text/plain")[0], put("/api/2.0/mlflow-artifacts/artifacts/0/other/artifacts/x", b"", "text/plain")[0])
listing = "/api/2.0/mlflow-artifacts/artifacts?" + urllib.parse.urlencode({"path": "0/" + run + "/artifacts/model"})
say(json.loads(http("GET", listing)[1]), api("GET", "artifacts/list", {"run_id": run, "path": ""}))
say(len(http("GET", root + "model/weights.bin")[1]), http("GET", root + "model/none")[0])
status, body = http("POST", "/api/2.0/mlflow-artifacts/mpu/create/0/" + run + "/artifacts/model", b'{"path": "weights.bin", "num_parts": 2}', {"Content-Type": "application/json"})
say(status, json.loads(body))
model = api("POST", "logged-models", {"experiment_id": "0", "name": "model", "source_run_id": run, "params": [{"key": "depth", "value": "3"}]})["model"]["info"]
put("/api/2.0/mlflow-artifacts/artifacts/" + model["artifact_uri"].split(":/")[1] + "/MLmodel", b"3", "text/plain")
ready = api("PATCH", "logged-models/" + model["model_id"], {"model_id": model["model_id"], "status": "LOGGED_MODEL_READY"})["model"]["info"]["status"]
say(ready, api("GET", "logged-models/" + model["model_id"])["model"]["data"]["params"], api("POST", "runs/outputs", {"run_id": run, "models": [{"model_id": model["model_id"], "step": 0}]}))
`);
  const [puts, [listed, ofRun], down, parts, model] = said;
  expect(puts).toEqual([200, 200, 400, 404]);
  const weights = { path: "weights.bin", is_dir: false, file_size: 2_000_000 };
  expect(listed).toEqual({ files: [{ path: "MLmodel", is_dir: false, file_size: 11 }, weights] });
  expect(ofRun.files).toEqual([{ path: "model", is_dir: true }]);
  expect(down).toEqual([2_000_000, 404]);
  expect(parts).toMatchObject([501, { error_code: "NOT_IMPLEMENTED" }]);
  expect(model).toEqual(["LOGGED_MODEL_READY", [{ key: "depth", value: "3" }], {}]);
  expect(reported.artifacts.map((artifact) => artifact.name).sort()).toEqual([
    "model/MLmodel",
    "model/weights.bin",
    "models/model/MLmodel",
  ]);
});

test("what is not answered is told in MLflow's form at once, and once in a note; nothing that is tried again for minutes", async () => {
  const { said } = await python(`
say([http("GET", path)[0] for path in ["/version", "/health", "/api/3.0/mlflow/server-info"]], http("GET", "/version")[1].decode())
say([api("POST", "registered-models/create", {"name": "m"}) for _ in range(2)], api("GET", "runs/get", {"run_id": "other"}), api("GET", "experiments/get", {"experiment_id": "9"}))
say(api("POST", "runs/log-metric", {"run_id": os.environ["NAVVY_TASK_ID"], "value": 1}), http("POST", "/api/2.0/mlflow/runs/create", b"{", {"Content-Type": "application/json"})[0])
say(lines())
`);
  const [plain, [unknown, run, experiment], bad, lines] = said;
  expect(plain).toEqual([[200, 200, 200], "3.0.0"]);
  expect(unknown).toEqual(
    Array(2).fill([404, { error_code: "ENDPOINT_NOT_FOUND", message: expect.stringContaining("registered-models") }]),
  );
  expect([run, experiment]).toMatchObject([
    [404, { error_code: "RESOURCE_DOES_NOT_EXIST" }],
    [404, { error_code: "RESOURCE_DOES_NOT_EXIST" }],
  ]);
  expect(bad).toMatchObject([[400, { error_code: "INVALID_PARAMETER_VALUE" }], 400]);
  expect(lines).toEqual([{ t: "note", level: "warn", text: expect.stringContaining("registered-models/create") }]);
});

test("a trainer's posts become progress and scalars", async () => {
  const { said } = await python(`
token = open(os.environ["KUBEFLOW_TRAINER_SERVER_TOKEN"]).read().strip()
def update(**status):
    status["lastUpdatedTime"] = "2026-11-22T08:30:00.000000+00:00"
    if "metrics" in status: status["metrics"] = [{"name": k, "value": str(v)} for k, v in status["metrics"].items()]
    data = json.dumps({"trainerStatus": status}).encode("utf-8")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["KUBEFLOW_TRAINER_SERVER_URL"], data=data, headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=5, context=None) as resp:
        return resp.status
logs = {"loss": 0.5, "learning_rate": 5e-05, "grad_norm": float("nan")}
say(bool(token), [
  update(progressPercentage=0, metrics={"total_steps": 20}),
  update(progressPercentage=50, estimatedRemainingSeconds=9, metrics={**logs, "current_step": 10, "total_steps": 20, "current_epoch": 1.0}),
  update(progressPercentage=75, estimatedRemainingSeconds=4, metrics={**logs, "loss": 0.4, "current_step": 15, "total_steps": 20, "current_epoch": 1.5}),
  update(progressPercentage=100, estimatedRemainingSeconds=0, metrics={**logs, "loss": 0.4}),
])
say([{k: v for k, v in line.items() if k != "ts"} for line in lines()])
`);
  const [answers, lines] = said;
  expect(answers).toEqual([true, [200, 200, 200, 200]]);
  expect(lines).toEqual([
    { t: "progress", n: 0, of: 20, unit: "step" },
    { t: "progress", n: 10, of: 20, unit: "step", eta: 9 },
    { t: "scalars", kv: { loss: 0.5, learning_rate: 5e-5, grad_norm: "nan", current_epoch: 1 }, step: 10 },
    { t: "progress", n: 15, of: 20, unit: "step", eta: 4 },
    { t: "scalars", kv: { loss: 0.4, current_epoch: 1.5 }, step: 15 },
    { t: "progress", n: 20, of: 20, unit: "step", eta: 0 },
  ]);
});

test("what a task sets itself is left alone", async () => {
  const own = { MLFLOW_TRACKING_URI: "http://mlflow.example", KUBEFLOW_TRAINER_SERVER_URL: "https://trainer.example" };
  const { said } = await python(`say({k: v for k, v in os.environ.items() if k.startswith(("MLFLOW", "KUBEFLOW"))})`, own);
  expect(said).toEqual([own]);
});
