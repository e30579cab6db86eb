import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { type Client, client, lives, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";
import { isFrozen } from "../support/process-state.js";
import { startProxy } from "../support/tcp-proxy.js";

const sh = (script: string) => ["sh", "-c", script];
const waiting = (stop: string) => sh(`echo "pid $$"; while [ ! -e "${stop}" ]; do sleep 0.05; done`);
const pidOf = async (c: Client, id: string) => {
  await eventually("it prints", async () => (await c.logOf(id)).includes("pid "));
  return Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
};

test("onDisconnect continue: it runs on over a lost lease, shows as unreachable, and its agent takes it up again", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await using agent = await spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, { lease: "2s" });
  await using _coordinator = await spawnAgent(nats, { lease: "2s" });
  await c.navvy.fleet.ask(_coordinator.name, "drain", { timeoutMs: 2_000 });
  const stop = join(agent.workDir, "stop");
  const id = await c.submit(waiting(stop), { spec: { onDisconnect: "continue" } });
  const pid = await pidOf(c, id);
  proxy.cut("hold");
  await c.navvy.tasks.wait(id, { until: (task) => task.unreachableAt !== undefined, timeoutMs: 20_000 });
  expect(lives(pid)).toBe(true);
  expect(await c.record(id)).toMatchObject({ status: "running", attempt: 1 });
  proxy.heal();
  await eventually("it is reachable again", async () => (await c.record(id)).unreachableAt === undefined, { timeoutMs: 20_000 });
  writeFileSync(stop, "");
  expect(await c.ended(id)).toMatchObject({ status: "completed", attempt: 1, losses: 0 });
});

test("onDisconnect continue: one that ended while its agent was cut off has its outcome when the link is back", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await using agent = await spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, { lease: "2s" });
  await using _coordinator = await spawnAgent(nats, { lease: "2s", queues: ["other"] });
  const stop = join(agent.workDir, "stop");
  const id = await c.submit(waiting(stop), { spec: { onDisconnect: "continue" } });
  await pidOf(c, id);
  proxy.cut("hold");
  await c.navvy.tasks.wait(id, { until: (task) => task.unreachableAt !== undefined, timeoutMs: 20_000 });
  writeFileSync(stop, "");
  await new Promise((resolve) => setTimeout(resolve, 500)); // it ends over there, and nobody hears of it
  expect((await c.record(id)).status).toBe("running");
  proxy.heal();
  expect(await c.ended(id)).toMatchObject({ status: "completed", attempt: 1, losses: 0 });
});

test("onDisconnect continue: an agent that had to leave while it was cut off settles it at its next start", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await using agent = await spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, { lease: "2s" });
  await using _coordinator = await spawnAgent(nats, { lease: "2s", queues: ["other"] });
  const id = await c.submit(sh('echo "pid $$"; [ $NAVVY_ATTEMPT = 1 ] && sleep 1000; exit 0'), { spec: { onDisconnect: "continue" } });
  const pid = await pidOf(c, id);
  proxy.cut("hold");
  await c.navvy.tasks.wait(id, { until: (task) => task.unreachableAt !== undefined, timeoutMs: 20_000 });
  await agent.leaveNow();
  expect(lives(pid)).toBe(false);
  expect((await c.record(id)).status).toBe("running");
  await using _again = await spawnAgent(nats, { name: agent.name, workDir: agent.workDir, lease: "2s" });
  expect(await c.ended(id)).toMatchObject({ status: "completed", attempt: 2, losses: 1 });
}, 60_000);

test("onDisconnect kill, from the queue: it is killed before the lease is over, and runs again without using up a retry", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await c.navvy.queues.create("strict", { onDisconnect: "kill" });
  await using _agent = await spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, { lease: "4s", queues: ["strict"] });
  const id = await c.submit(sh('echo "pid $$"; [ $NAVVY_ATTEMPT = 1 ] && sleep 1000; exit 0'), { queue: "strict" });
  const pid = await pidOf(c, id);
  proxy.cut("hold");
  await eventually("it is killed", () => !lives(pid), { timeoutMs: 4_000 });
  proxy.heal();
  expect(await c.ended(id)).toMatchObject({ status: "completed", attempt: 2, losses: 1, failures: 0 });
});

test("an agent whose event loop is blocked for a minute keeps its lease, and its tasks are not frozen", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  const block = join(folder.path, "block.mjs");
  writeFileSync(block, 'process.on("SIGWINCH", () => { const until = Date.now() + 60_000; while (Date.now() < until); });');
  const env = { NODE_OPTIONS: `--import=${pathToFileURL(block).href}` };
  await using agent = await spawnAgent(nats, { lease: "4s", env });
  await using _coordinator = await spawnAgent(nats, { lease: "4s", queues: ["other"] });
  const id = await c.submit(sh('echo "pid $$"; exec sleep 1000'));
  const pid = await pidOf(c, id);
  agent.kill("SIGWINCH");
  const until = Date.now() + 60_000;
  while (Date.now() < until) {
    expect(isFrozen(pid)).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await c.navvy.tasks.abort(id);
  expect(await c.ended(id)).toMatchObject({ status: "aborted", attempt: 1, losses: 0 });
}, 120_000);

test("with the machine at 400 % of its processors no lease is lost falsely and nothing is frozen", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { lease: "4s" });
  await using _coordinator = await spawnAgent(nats, { lease: "4s", queues: ["other"] });
  const id = await c.submit(sh('echo "pid $$"; exec sleep 1000'));
  const pid = await pidOf(c, id);
  const busy = Array.from({ length: cpus().length * 4 }, () => spawn("sh", ["-c", "while :; do :; done"]));
  try {
    const until = Date.now() + 20_000;
    while (Date.now() < until) {
      expect(isFrozen(pid)).toBe(false);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  } finally {
    for (const one of busy) one.kill("SIGKILL");
  }
  await c.navvy.tasks.abort(id);
  expect(await c.ended(id)).toMatchObject({ status: "aborted", attempt: 1, losses: 0 });
}, 60_000);
