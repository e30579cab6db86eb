import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { autoscaleConfigOf } from "../../controller/autoscale/definition.js";
import { FleetWatch } from "../../controller/autoscale/fleet-look.js";
import { type AgentProcess, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { type Nats, startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const navvy = (server: { url: string }, ...args: string[]) =>
  execa(process.execPath, [MAIN, ...args], { env: { NAVVY_SERVER: server.url, NO_COLOR: "1" }, reject: false, timeout: 50_000 });

/** What makes machines: does what the commands leave in a file, with real agents, outside of whoever asked for them. */
function cloud(nats: Nats, file: string) {
  const agents = new Map<string, AgentProcess>();
  let isOpen = true;
  const calls = async () => (await readFile(file, "utf8").catch(() => "")).split("\n").filter(Boolean);
  const starting: Promise<unknown>[] = [];
  const start = async (name: string) => agents.set(name, await spawnAgent(nats, { name, queues: ["gpu"], slots: 1, services: 0 }));
  const serve = async () => {
    for (let done = 0; isOpen; ) {
      const next = await eventually("a call", async () => !isOpen || (await calls())[done], { timeoutMs: 120_000 });
      if (typeof next !== "string") return;
      done++;
      const [verb, name = ""] = next.split(" ");
      if (verb === "start") starting.push(start(name));
      else agents.get(name)?.kill("SIGTERM");
    }
  };
  const serving = serve();
  const close = async () => {
    isOpen = false;
    await Promise.all([serving, ...starting]);
    for (const agent of agents.values()) await agent[Symbol.asyncDispose]();
  };
  return { agents, calls, [Symbol.asyncDispose]: close };
}

test("machines come as tasks wait and go when they are idle, also when the autoscaler's own machine is killed between", {
  timeout: 120_000,
}, async () => {
  await using folder = await tempFolder();
  await using nats = await startNats();
  await using c = await client(nats);
  const at = (name: string) => join(folder.path, name);
  await using machines = cloud(nats, at("calls"));
  await using hub = await spawnAgent(nats, { queues: ["nothing"], slots: 1 });
  await writeFile(
    at("scale.yaml"),
    `queue: gpu
agents: cloud-
max: 2
start: {command: 'for name in $NAMES; do echo "start $name" >> "${at("calls")}"; done; echo "$COUNT $QUEUE $NEEDS" > "${at("needs")}"'}
stop: {command: [sh, -c, 'echo "stop $NAME" >> "${at("calls")}"']}
waiting: 200ms
idle: 2s
cooldown: 300ms
every: 200ms
`,
  );
  const ran = await navvy(nats, "autoscale", "run", at("scale.yaml"), "-n", "machines");
  expect([ran.exitCode, ran.stderr]).toEqual([0, expect.stringContaining("queued   machines")]);
  const scaler = ran.stdout.trim();

  const tasks: string[] = [];
  for (let i = 0; i < 4; i++)
    tasks.push(await c.submit(["sh", "-c", `while [ ! -e '${at("gate")}' ]; do sleep 0.1; done`], { queue: "gpu" }));
  await eventually(
    "two machines run tasks",
    async () => (await c.list({ queue: "gpu" })).filter(({ phase }) => phase === "executing").length === 2,
    {
      timeoutMs: 40_000,
    },
  );
  expect((await readFile(at("needs"), "utf8")).trim()).toMatch(/^[12] gpu {"gpus":0}$/);

  hub.kill("SIGKILL");
  await using _next = await spawnAgent(nats, { queues: ["nothing"], slots: 1 });
  await c.navvy.tasks.wait(scaler, { until: ({ attempt, phase }) => attempt === 2 && phase === "executing", timeoutMs: 30_000 });
  await writeFile(at("gate"), "");
  for (const task of tasks) expect((await c.ended(task)).status).toBe("completed");
  await eventually(
    "both machines are stopped",
    async () => (await machines.calls()).filter((call) => call.startsWith("stop")).length === 2,
    {
      timeoutMs: 30_000,
    },
  );
  const calls = await machines.calls();
  expect([calls.slice(0, 2), [...calls.slice(2)].sort()]).toEqual([
    ["start cloud-1", "start cloud-2"],
    ["stop cloud-1", "stop cloud-2"],
  ]);
  for (const agent of machines.agents.values()) expect(await agent.exited).toBe(0);
  await c.navvy.tasks.wait(scaler, {
    until: ({ reported }) => Object.keys(reported.outputs["machines"] ?? { none: 1 }).length === 0,
    timeoutMs: 20_000,
  });
  const said = await c.logOf(scaler);
  expect(said).toMatch(/drain cloud-\d: it has been idle for long\n[^]*stop cloud-\d: nothing runs there/);
  // It remembers them: none is taken up for its name alone.
  expect(said).not.toContain("adopt");
  expect((await c.navvy.fleet.agents()).filter(({ isUp }) => isUp).map(({ record }) => record.queues)).toEqual([["nothing", "services"]]);
});

test("a dry run says what it would do, once, and does nothing", async () => {
  await using folder = await tempFolder();
  await using nats = await startNats();
  await using c = await client(nats);
  await using _hub = await spawnAgent(nats, { queues: ["nothing"] });
  const file = join(folder.path, "scale.yaml");
  const calls = join(folder.path, "calls");
  await writeFile(
    file,
    `{queue: gpu, agents: cloud-, max: 1, waiting: 100ms, every: 100ms, start: {command: 'touch "${calls}"'}, stop: {command: 'false'}}`,
  );
  expect((await navvy(nats, "autoscale", "check", file)).stdout).toContain("0 to 1 machines called cloud-… for queue gpu");
  await c.submit(["true"], { queue: "gpu" });
  const scaler = (await navvy(nats, "autoscale", "run", file, "--dry-run")).stdout.trim();
  await eventually("it says so", async () => (await c.logOf(scaler)).includes("would start cloud-1: 1 tasks wait"), { timeoutMs: 20_000 });
  await c.navvy.tasks.wait(scaler, { until: ({ reported }) => (reported.metrics["tasks waiting"]?.count ?? 0) > 0, timeoutMs: 20_000 });
  await c.navvy.tasks.abort(scaler);
  expect((await c.ended(scaler)).status).toBe("aborted");
  expect((await c.logOf(scaler)).match(/would/g)).toHaveLength(1);
  await expect(readFile(calls)).rejects.toMatchObject({ code: "ENOENT" });
});

test("neither a parked task nor a queue that is paused asks for machines", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const written = { queue: "gpu", agents: "cloud-", max: 1, waiting: "1ms", start: { command: "up" }, stop: { command: "down" } };
  const watch = await FleetWatch.open(c.navvy, autoscaleConfigOf(written));
  try {
    const task = await c.submit(["true"], { queue: "gpu" });
    const waiting = async () => (await watch.look()).waiting.length;
    await eventually("it waits", async () => (await waiting()) === 1);
    await c.navvy.queues.pause("gpu", "holidays");
    expect(await waiting()).toBe(0);
    await c.navvy.queues.resume("gpu");
    expect(await waiting()).toBe(1);
    const parked = { on: [], all: false, keys: true, tidies: false, at: new Date().toISOString() };
    await c.navvy.tasks.bucket.modify(task, (record) => ({ ...record, parked }));
    await eventually("it is parked", async () => (await waiting()) === 0);
  } finally {
    watch.close();
  }
});
