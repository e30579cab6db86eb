import { dirname } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Container, TaskSpec } from "../../protocol/index.js";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { BASE_IMAGE, type Docker, startDocker } from "../support/docker.js";
import { eventually } from "../support/eventually.js";
import { type Nats, startNats } from "../support/nats.js";

let docker: Docker;
let nats: Nats;
let agent: AgentProcess;
let killed: AgentProcess | undefined;
let fleet: Client;
const allow = ["/usr", dirname(process.execPath)].flatMap((path) => ["--allow-mount", path]);
const start = (options: Parameters<typeof spawnAgent>[1] = {}) =>
  spawnAgent(nats, {
    env: docker.env,
    slots: 2,
    adoptWithin: "60s",

    args: [...allow, "--allow-network", "host"],
    ...options,
  });
beforeAll(async () => {
  docker = await startDocker();
  nats = await startNats();
  agent = await start();
  fleet = await client(nats);
}, 120_000);
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
  await killed?.[Symbol.asyncDispose]();
  expect(await docker.containers(), "containers were left behind").toEqual([]);
  await nats[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
}, 60_000);

/** This machine's Node with what it is linked to, for an image that has a shell and nothing more. */
const MOUNTS = [
  { source: "/usr/lib", target: "/lib", readOnly: true },
  { source: "/usr/lib64", target: "/lib64", readOnly: true },
  { source: dirname(process.execPath), target: "/node", readOnly: true },
];

const ASK = `
import { request } from "node:http";
const ask = (path, method = "GET", body) => new Promise((resolve, reject) => {
  const asked = request({ socketPath: process.env.NAVVY_SOCKET, path, method, agent: false }, (response) => {
    let text = "";
    response.on("data", (part) => (text += part)).on("end", () => resolve([response.statusCode, JSON.parse(text)]));
  });
  asked.on("error", reject).end(body);
});
`;

function submit(code: string, container: Partial<Container> = {}, spec: Partial<TaskSpec> = {}): Promise<string> {
  const whole = { image: BASE_IMAGE, mounts: MOUNTS, ...container } as Container;
  return fleet.submit(["/node/node", "--input-type=module", "-e", ASK + code], { spec: { ...spec, container: whole } });
}

test("a container without a network asks by the socket, whoever it runs as, and what it puts is an artifact", async () => {
  const code = `console.log(JSON.stringify([process.getuid(), process.env.NAVVY_SOCKET, process.env.NAVVY_URL ?? null,
    await ask("/v1/params"), await ask("/v1/artifacts/out/x.txt?kind=data", "PUT", "content")]))`;
  const id = await submit(code, { user: "1234:99" }, { parameters: { General: { lr: 0.1 } } });
  const ended = await fleet.ended(id, 40_000);
  expect(await fleet.logOf(id, "err")).toBe("");
  expect(JSON.parse(await fleet.logOf(id))).toEqual([
    ...[1234, "/navvy/api/api.sock", null],
    [200, { General: { lr: 0.1 } }],
    [200, { name: "out/x.txt", sizeBytes: 7 }],
  ]);
  expect(ended.reported.artifacts.map((artifact) => artifact.name)).toEqual(["out/x.txt"]);
});

test("one in the machine's network has the port, and what leads there", async () => {
  const id = await submit(
    `const own = process.env; const { readFileSync } = await import("node:fs");
    const status = await fetch(own.KUBEFLOW_TRAINER_SERVER_URL, { method: "POST", body: '{"trainerStatus":{"progressPercentage":40}}' });
    console.log(JSON.stringify([status.status, readFileSync(own.KUBEFLOW_TRAINER_SERVER_TOKEN, "utf8"),
      await (await fetch(own.MLFLOW_TRACKING_URI + "/version")).text()]))`,
    { network: "host" },
  );
  await fleet.ended(id, 40_000);
  expect(await fleet.logOf(id, "err")).toBe("");
  expect(JSON.parse(await fleet.logOf(id))).toEqual([200, "navvy\n", "3.0.0"]);
});

test("after its agent was killed and started again a container's socket answers as before", async () => {
  const id = await submit(`
    console.log("begun", ...(await ask("/v1/task")));
    let gaps = 0;
    for (let after = 0; after < 3; after += gaps > 0) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      await ask("/v1/progress", "POST", '{"n":1}').catch(() => (gaps++, (after = -1)));
    }
    console.log("over");`);
  await eventually("it has begun", async () => (await fleet.logOf(id)).includes("begun 200"), { timeoutMs: 30_000 });
  agent.kill("SIGKILL");
  await agent.exited;
  killed = agent;
  agent = await start({ name: killed.name, workDir: killed.workDir });
  expect((await fleet.ended(id, 40_000)).status).toBe("completed");
  expect(await fleet.logOf(id)).toMatch(/over\n$/);
});
