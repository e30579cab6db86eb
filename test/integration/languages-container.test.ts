import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Container } from "../../protocol/index.js";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { BASE_IMAGE, type Docker, startDocker } from "../support/docker.js";
import { type Nats, startNats } from "../support/nats.js";
import { PYTHON } from "../support/python.js";

const FIXTURES = fileURLToPath(new URL("../fixtures/tensorboard", import.meta.url));

let docker: Docker;
let nats: Nats;
let agent: AgentProcess;
let fleet: Client;
/** This machine's Python and what it loads: the image has none, and no other can be fetched. */
let mounts: string[];
beforeAll(async () => {
  const { stdout } = await execa(PYTHON, ["-c", "import sys; print(sys.base_prefix)"]);
  mounts = [stdout, "/lib", "/lib64", "/usr/lib", FIXTURES].filter((path, at, all) => all.indexOf(path) === at);
  docker = await startDocker();
  nats = await startNats();
  agent = await spawnAgent(nats, { env: docker.env, args: mounts.flatMap((path) => ["--allow-mount", path]) });
  fleet = await client(nats);
}, 120_000);
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
}, 60_000);

const container = (more: Partial<Container> = {}) => ({ image: BASE_IMAGE, ...more }) as Container;

test("in a container a shell script reports by navvy-report, with parameters in its command", async () => {
  const script = `set -e; navvy-report scalar loss \${params.loss} --step 1; navvy-report output name="it's"; echo x > made
    navvy-report artifact made --kind data; echo "# page" | navvy-report summary; navvy-report note warn 'in "here"'`;
  const id = await fleet.submit(["sh", "-c", script], { parameters: { "General/loss": 0.5 }, spec: { container: container() } });
  const { status, reported } = await fleet.ended(id, 50_000);
  expect([status, await fleet.logOf(id, "err")]).toEqual(["completed", ""]);
  expect(reported).toMatchObject({ metrics: { loss: { last: 0.5, lastStep: 1 } }, outputs: { name: "it's" } });
  expect(reported.artifacts).toMatchObject([{ name: "made", kind: "data" }]);
  expect(reported.notes.map(({ text }) => text)).toEqual(['in "here"']);
});

test("in a container a Python script imports navvy, and its TensorBoard files are read", async () => {
  const code = `
import sys; sys.path.insert(0, ${JSON.stringify(FIXTURES)})
import navvy, os
from events import *
navvy.log({"loss": navvy.params.lr}, step=1)
navvy.artifact("model.bin", b"weights", kind="model")
Writer("runs/x").add(torch_scalar("acc", 0.5), 3)
Writer(os.environ["NAVVY_TB"]).add(torch_scalar("acc", 0.25), 4)`;
  const spec = { container: container({ mounts: mounts.map((path) => ({ source: path, target: path, readOnly: true })) }) };
  const id = await fleet.submit([PYTHON, "-S", "-c", code], { parameters: { "General/lr": 0.5 }, spec });
  const { status, reported, outcome } = await fleet.ended(id, 50_000);
  expect([status, outcome?.tail, await fleet.logOf(id, "err")]).toEqual(["completed", undefined, ""]);
  expect(reported.metrics).toMatchObject({ loss: { last: 0.5 }, acc: { count: 1 } });
  expect(Object.keys(reported.metrics).filter((key) => key.endsWith("acc"))).toHaveLength(2);
  expect(reported.artifacts).toMatchObject([{ name: "model.bin", kind: "model" }]);
});
