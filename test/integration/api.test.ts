import { afterAll, beforeAll, expect, test } from "vitest";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { type Nats, startNats } from "../support/nats.js";

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

/** A Python program with `ask(method, path, body)` over the task's socket, by the standard library alone. */
const PYTHON = `
import http.client, json, os, socket, sys
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ["NAVVY_SOCKET"])
def ask(method, path, body=None, connection=None):
    c = connection or Unix("navvy", timeout=30)
    c.request(method, path, body if isinstance(body, (bytes, str)) or body is None else json.dumps(body))
    r = c.getresponse()
    data = r.read()
    return r.status, (json.loads(data) if r.headers.get("content-type") == "application/json" else data)
`;

async function python(code: string, options: Parameters<Client["submit"]>[1] = {}) {
  const id = await fleet.submit(["python3", "-c", PYTHON + code], options);
  const ended = await fleet.ended(id);
  return { ...ended, log: await fleet.logOf(id), errors: await fleet.logOf(id, "err") };
}

test("a Python program asks for its parameters and what it is", async () => {
  const { log, errors } = await python(
    `print(json.dumps([ask("GET", "/v1/params"), ask("GET", "/v1/task"), ask("GET", "/v1/inputs"), ask("GET", "/v1/control")]))`,
    { spec: { parameters: { General: { lr: 0.1 } } } },
  );
  expect(errors).toBe("");
  expect(JSON.parse(log)).toMatchObject([
    [200, { General: { lr: 0.1 } }],
    [200, { name: "python3", attempt: 1, agent: agent.name, queue: "default" }],
    [200, { inputs: [] }],
    [200, { abort: null }],
  ]);
});

test("what it posts is taken line by line, and stands in the events file", async () => {
  const { log, errors } = await python(`
lines = [{"t": "scalar", "k": "loss", "v": 0.5, "step": 1}, {"t": "new kind"}, {"t": "scalar", "v": 1}]
body = "\\n".join(map(json.dumps, lines)) + "\\nnot json\\n"
print(json.dumps([ask("POST", "/v1/events", body), ask("POST", "/v1/progress", {"n": 3, "of": 10, "unit": "epoch"}),
  ask("POST", "/v1/events", "nothing"), ask("POST", "/v1/progress", {"n": "x"})]))
print(open(os.environ["NAVVY_DIR"] + "/events-http.jsonl").read(), end="")
`);
  expect(errors).toBe("");
  const [answers, ...lines] = log
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(answers).toMatchObject([
    [200, { accepted: 2, rejected: [{ line: 3 }, { line: 4, error: "not JSON" }] }],
    [200, {}],
    [400, { accepted: 0, rejected: [{ line: 1 }], error: { code: "invalid_argument" } }],
    [400, { error: { code: "invalid_argument", fix: expect.stringContaining("epoch") } }],
  ]);
  expect(lines).toEqual([{ t: "scalar", k: "loss", v: 0.5, step: 1 }, { t: "new kind" }, { t: "progress", n: 3, of: 10, unit: "epoch" }]);
});

test("it waits for a wish to abort, and is told the reason and the time it has left", async () => {
  const id = await fleet.submit(
    [
      "python3",
      "-c",
      `${PYTHON}
import signal
signal.signal(signal.SIGTERM, lambda *_: None)
print(json.dumps([ask("GET", "/v1/control?wait=0.01"), ask("GET", "/v1/control?wait=never")]), flush=True)
print(json.dumps(ask("GET", "/v1/control?wait=30")), flush=True)`,
    ],
    { spec: { graceMs: 20_000 } },
  );
  await eventually("it waits", async () => (await fleet.logOf(id)).includes("\n"));
  await fleet.navvy.tasks.abort(id, { reason: "no longer wanted" });
  await fleet.ended(id);
  const [first, second] = (await fleet.logOf(id))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(first).toMatchObject([
    [200, { abort: null }],
    [400, { error: { code: "invalid_argument" } }],
  ]);
  expect(second).toMatchObject([200, { abort: { kind: "aborted", reason: "no longer wanted" } }]);
  expect(Date.parse(second[1].abort.deadline)).toBeGreaterThan(Date.now() - 20_000);
});

test("artifacts go up and down; names that lead elsewhere and what is not there are refused", async () => {
  const content = "x".repeat(3_000_000);
  const { log, errors, id, reported } = await python(`
os.mkdir("elsewhere")
os.symlink(os.path.abspath("elsewhere"), os.environ["NAVVY_ARTIFACTS"] + "/out")
names = ["../up.txt", "a/../../up.txt", "/etc/x", "a//b", ".", "%2e%2e/up.txt", "..%2Fup.txt", "out/x.txt", "n" * 300, "nul%00"]
print(json.dumps([
  ask("PUT", "/v1/artifacts/models/best%20%C3%A9.bin?kind=model", "x" * 3_000_000),
  ask("PUT", "/v1/artifacts/.hidden", b""),
  ask("GET", "/v1/artifacts/01ARZ3NDEKTSV4RRFFQ69G5FAV/x"), ask("GET", "/v1/artifacts/..%2F..%2Fx/y"),
  [ask("PUT", "/v1/artifacts/" + name, "no")[0] for name in names],
  sorted(os.listdir(os.environ["NAVVY_ARTIFACTS"])), os.listdir("elsewhere"),
]))`);
  expect(errors).toBe("");
  const missing = [404, { error: { code: "not_found", message: expect.anything() } }];
  expect(JSON.parse(log)).toMatchObject([
    [200, { name: "models/best é.bin", sizeBytes: content.length }],
    [200, { name: ".hidden", sizeBytes: 0 }],
    missing,
    missing,
    Array(10).fill(400),
    [".hidden", "models", "out"],
    [],
  ]);
  expect(reported.artifacts.map((artifact) => artifact.name).sort()).toEqual([".hidden", "models/best é.bin"]);
  const down = await python(`
status, data = ask("GET", "/v1/artifacts/${id}/models/best%20%C3%A9.bin")
print(status, len(data), set(data), ask("GET", "/v1/artifacts/${id}/other")[1]["error"]["message"])`);
  expect(down.log).toMatch(/^200 3000000 \{120\} task .* has no artifact "other"/);
});

test("an input comes by its name", async () => {
  const { sha256, sizeBytes } = await fleet.navvy.objects.putBytes(Buffer.from("rows"));
  const { log } = await python(
    `print(json.dumps([ask("GET", "/v1/inputs")[1], ask("GET", "/v1/inputs/data.csv")[1].decode(), ask("GET", "/v1/inputs/x")[0]]))`,
    {
      spec: { inputs: { "data.csv": { sha256, sizeBytes } } },
    },
  );
  expect(JSON.parse(log)).toEqual([{ inputs: [{ name: "data.csv", sha256, sizeBytes }] }, "rows", 404]);
});

test("a program in Node reaches the same by the port, and a token that is wrong nothing", async () => {
  const id = await fleet.submit([
    "node",
    "--input-type=module",
    "-e",
    `
    const url = process.env.NAVVY_URL;
    const wrong = url.replace(/.{4}$/, "AAAA");
    const say = async (response) => [response.status, await response.json()];
    console.log(JSON.stringify([
      await say(await fetch(url + "/v1/task")), await say(await fetch(wrong + "/v1/task")), await say(await fetch(new URL("/v1/task", url))),
      await say(await fetch(url + "/v1/nothing")), await say(await fetch(url + "/v1/task", { method: "DELETE" })),
    ]));`,
  ]);
  await fleet.ended(id);
  const denied = [403, { error: { code: "permission_denied" } }];
  const answers = JSON.parse(await fleet.logOf(id));
  expect(answers).toMatchObject([[200, { id }], denied, denied, [404, { error: { code: "not_found" } }], [405, { error: {} }]]);
});
