import { afterAll, beforeAll, expect, test } from "vitest";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
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
