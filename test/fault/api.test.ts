import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

/** Posts numbers by the socket and the port in turn, each until it is answered; says so once a gap was seen and the API is back. */
const POSTER = `
import http.client, json, os, socket, time, urllib.request
def by_socket(path, body=None):
    c = http.client.HTTPConnection("navvy", timeout=20)
    c.sock = socket.socket(socket.AF_UNIX)
    c.sock.connect(os.environ["NAVVY_SOCKET"])
    c.request("POST" if body else "GET", path, body)
    r = c.getresponse()
    return r.status, json.loads(r.read())
def by_port(path, body=None):
    r = urllib.request.urlopen(urllib.request.Request(os.environ["NAVVY_URL"] + path, body, {"Content-Type": "application/json"}), timeout=20)
    return r.status, json.loads(r.read())
run = {"run_id": os.environ["NAVVY_TASK_ID"]}
mlflow = lambda endpoint, fields: by_port("/mlflow/api/2.0/mlflow/" + endpoint, json.dumps({**run, **fields}).encode())
mlflow("runs/log-batch", {"params": [{"key": "lr", "value": "0.1"}], "tags": [{"key": "__proto__", "value": "kept"}]})
mlflow("runs/log-metric", {"key": "loss", "value": 0.5, "timestamp": 1000, "step": 3})
print("begun", flush=True)
gaps, sent, after = set(), 0, 0
while after < 10:
    for way in by_socket, by_port:
        try:
            assert way("/v1/events", json.dumps({"t": "scalar", "k": way.__name__, "v": sent, "step": sent}).encode())[1]["accepted"] == 1
        except OSError:
            gaps.add(way.__name__)
            time.sleep(0.02)
            break
    else:
        sent += 1
        after += len(gaps) > 0
        time.sleep(0.01)
data = by_port("/mlflow/api/2.0/mlflow/runs/get?run_id=" + run["run_id"])[1]["run"]["data"]
lines = [json.loads(line) for line in open(os.environ["NAVVY_DIR"] + "/events-http.jsonl")]
print(json.dumps({"gaps": sorted(gaps), "sent": sent, "data": data, "steps": [line["step"] for line in lines if line.get("k") == "by_port"]}))
`;

test("an agent that is killed and started again answers its tasks where it did before, and remembers what they told it", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const keep = { adoptWithin: "60s", lease: "20s" };
  await using first = await spawnAgent(nats, keep);
  const id = await c.submit(["python3", "-c", POSTER]);
  await eventually("it has begun", async () => (await c.logOf(id)).includes("begun"), { timeoutMs: 20_000 });
  // The latest value of a metric may be written down a second late; all else stands when it is answered for.
  const kept = join(first.workDir, first.name, "attempts", `${id}.1`, "mlflow.json");
  await eventually("its metric is kept", async () => (await readFile(kept, "utf8")).includes("loss"));
  first.kill("SIGKILL");
  await first.exited;
  await using second = await spawnAgent(nats, { ...keep, name: first.name, workDir: first.workDir });
  const ended = await c.ended(id);
  expect([ended.status, await c.logOf(id, "err"), second.name]).toEqual(["completed", "", first.name]);
  const said = JSON.parse((await c.logOf(id)).split("\n")[1] ?? "") as {
    gaps: string[];
    sent: number;
    data: Record<string, unknown>;
    steps: number[];
  };
  expect(said.gaps).not.toEqual([]);
  expect(said.data).toMatchObject({ params: [{ key: "lr", value: "0.1" }], metrics: [{ key: "loss", value: 0.5, step: 3 }] });
  expect(said.data.tags).toContainEqual({ key: "__proto__", value: "kept" });
  expect([...new Set(said.steps)]).toEqual(Array.from({ length: said.sent }, (_, i) => i)); // one may have been taken and not answered for
});
