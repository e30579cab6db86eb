import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Container } from "../../protocol/index.js";
import { type AgentProcess, client, lives, spawnAgent } from "../support/agent.js";
import { BASE_IMAGE, type Docker, startDocker } from "../support/docker.js";
import { eventually } from "../support/eventually.js";
import { type Nats, startNats } from "../support/nats.js";

let docker: Docker;
beforeAll(async () => {
  docker = await startDocker();
}, 120_000);
afterAll(() => docker[Symbol.asyncDispose](), 60_000);

const container = { image: BASE_IMAGE } as Container;
const start = (nats: Nats, options: Parameters<typeof spawnAgent>[1] = {}) => spawnAgent(nats, { env: docker.env, ...options });

/** Process number of the spawner, as the host journal has it. */
async function spawnerOf(agent: AgentProcess): Promise<number> {
  const text = await readFile(join(agent.workDir, agent.name, "journal.jsonl"), "utf8");
  const entries = text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as { op: string; pid: number }]));
  return entries.findLast(({ op }) => op === "spawner")?.pid ?? 0;
}

/** What runs in a container on this machine, by number. */
async function pidOf(name: string): Promise<number> {
  return Number(await docker.docker("inspect", name, "--format", "{{.State.Pid}}"));
}

test("when an agent and its spawner are killed together, its containers go with them", async () => {
  await using nats = await startNats();
  await using fleet = await client(nats);
  await using agent = await start(nats);
  const id = await fleet.submit(["sleep", "1000"], { spec: { container } });
  await fleet.executing(id);
  const pid = await pidOf(`navvy-${agent.name}-${id}.1`);
  const spawner = await spawnerOf(agent);
  process.kill(agent.pid, "SIGKILL");
  process.kill(spawner, "SIGKILL");
  await eventually("its processes are gone", () => !lives(pid), { timeoutMs: 4_000 });
  await eventually("its container is removed", async () => (await docker.containers()).length === 0);
});

test("when a spawner is killed, its containers go and their tasks run again elsewhere", async () => {
  await using nats = await startNats();
  await using fleet = await client(nats);
  await using agent = await start(nats, { slots: 1 });
  const id = await fleet.submit(["sh", "-c", "[ $NAVVY_ATTEMPT -gt 1 ] || sleep 1000"], { spec: { container } });
  await fleet.executing(id);
  const pid = await pidOf(`navvy-${agent.name}-${id}.1`);
  process.kill(await spawnerOf(agent), "SIGKILL");
  await eventually("its processes are gone", () => !lives(pid), { timeoutMs: 4_000 });
  await agent.exited;
  await using _second = await start(nats);
  const ended = await fleet.ended(id);
  expect(ended).toMatchObject({ status: "completed", failures: 0, outcome: { kind: "exited", code: 0 } });
  expect(ended.attempts[0]?.outcome?.kind).toMatch(/^(lost|given_back)$/);
  await eventually("nothing is left", async () => (await docker.containers()).length === 0);
});

test("trees that nobody adopts in time are killed, containers too", async () => {
  await using nats = await startNats();
  await using fleet = await client(nats);
  await using agent = await start(nats, { adoptWithin: "500ms" });
  const id = await fleet.submit(["sleep", "1000"], { spec: { container } });
  await fleet.executing(id);
  const pid = await pidOf(`navvy-${agent.name}-${id}.1`);
  agent.kill("SIGKILL");
  await eventually("its processes are gone", () => !lives(pid), { timeoutMs: 6_000 });
  await eventually("its container is removed", async () => (await docker.containers()).length === 0);
});

test("an agent removes what an earlier run left of its own, and nothing of anyone else", async () => {
  await using nats = await startNats();
  await using agent = await start(nats);
  const { workDir, name } = agent;
  await agent.leaveNow();
  const labels = (folder: string) => ["--label", `navvy.folder=${folder}`, "--label", `navvy.agent=${name}`];
  await docker.docker("run", "--detach", "--name", "mine", ...labels(join(workDir, name)), BASE_IMAGE, "sleep", "1000");
  await docker.docker("run", "--detach", "--name", "others", ...labels("/elsewhere"), BASE_IMAGE, "sleep", "1000");
  await docker.docker("run", "--detach", "--name", "foreign", BASE_IMAGE, "sleep", "1000");
  await using second = await start(nats, { workDir, name });
  expect((await docker.containers()).sort()).toEqual(["foreign", "others"]);
  expect(second.log.join("\n")).toContain("containers that an earlier run left are removed");
  await docker.docker("rm", "--force", "others", "foreign");
});

test("a container that someone removes is lost with its machine, and its task runs again", async () => {
  await using nats = await startNats();
  await using fleet = await client(nats);
  await using agent = await start(nats);
  const id = await fleet.submit(["sh", "-c", "[ $NAVVY_ATTEMPT -gt 1 ] || sleep 1000"], { spec: { container } });
  await fleet.executing(id);
  await docker.docker("rm", "--force", `navvy-${agent.name}-${id}.1`);
  const ended = await fleet.ended(id);
  expect(ended).toMatchObject({ status: "completed", failures: 0, losses: 1, attempts: [{ outcome: { kind: "lost" } }, {}] });
});

test("an engine that is killed takes no task for a failure of its program, and the slot is free again", async () => {
  await using nats = await startNats();
  await using fleet = await client(nats);
  await using _agent = await start(nats, { slots: 1 });
  const id = await fleet.submit(["sh", "-c", "[ $NAVVY_ATTEMPT -gt 1 ] || sleep 1000"], { spec: { container, lostLimit: 50 } });
  await fleet.executing(id);
  docker.kill("SIGKILL");
  try {
    await eventually("the loss is on the record", async () => (await fleet.record(id)).losses > 0, { timeoutMs: 20_000 });
  } finally {
    await docker.restart();
  }
  const ended = await fleet.ended(id, 40_000);
  expect(ended).toMatchObject({ status: "completed", failures: 0, outcome: { kind: "exited", code: 0 } });
  expect(ended.attempts[0]?.outcome?.kind).toBe("lost");
  await eventually("nothing is left", async () => (await docker.containers()).length === 0);
}, 120_000);

test("an engine that hangs keeps no container from being frozen, and none from being killed", async () => {
  await using nats = await startNats();
  await using fleet = await client(nats);
  await using agent = await start(nats);
  const id = await fleet.submit(["sh", "-c", "while :; do date +%s%N >> ticks; sleep 0.05; done"], { spec: { container } });
  await fleet.executing(id);
  const ticks = join(agent.workDir, agent.name, "attempts", `${id}.1`, "work", "ticks");
  const count = async () => (await readFile(ticks, "utf8").catch(() => "")).split("\n").length;
  await eventually("it ticks", async () => (await count()) > 2);
  const pid = await pidOf(`navvy-${agent.name}-${id}.1`);
  docker.kill("SIGSTOP");
  try {
    nats.pause();
    let before = -1;
    await eventually(
      "it stands still before its lease is over",
      async () => {
        const now = await count();
        const isStill = now === before;
        before = now;
        return isStill;
      },
      { everyMs: 300, timeoutMs: 6_000 },
    );
    process.kill(await spawnerOf(agent), "SIGKILL");
    await eventually("it is killed", () => !lives(pid));
  } finally {
    nats.resume();
    docker.kill("SIGCONT");
  }
  await eventually("nothing is left", async () => (await docker.containers()).length === 0, { timeoutMs: 20_000 });
});

test("an agent that is to run containers refuses to start without its engine, and says what to do", async () => {
  await using nats = await startNats();
  const env = { DOCKER_HOST: "unix:///nowhere/docker.sock" };
  await expect(spawnAgent(nats, { env, args: ["--runtime", "docker"] })).rejects.toThrow(/does not answer: docker.*docker info/s);
  await expect(spawnAgent(nats, { env: docker.env, args: ["--runtime", "nerdctl"] })).rejects.toThrow(
    /there is no nerdctl on this machine/,
  );
  await using agent = await spawnAgent(nats, { env: { ...env, NAVVY_RUNTIME: "auto" } });
  expect(agent.log.join("\n")).toContain("the container engine does not answer: no tasks with an image are taken");
});

test("an attempt that is aborted while its image is being fetched ends at once and leaves nothing", async () => {
  await using nats = await startNats();
  await using fleet = await client(nats);
  await using _agent = await start(nats);
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  const id = await fleet.submit(["true"], { spec: { container: { image: `127.0.0.1:${port}/hangs:1` } as Container } });
  await eventually("it is being fetched", async () => (await fleet.logOf(id, "navvy")).includes("docker pull"));
  const before = performance.now();
  await fleet.navvy.tasks.abort(id, { reason: "enough" });
  expect(await fleet.ended(id)).toMatchObject({ status: "aborted" });
  expect(performance.now() - before).toBeLessThan(5_000);
  silent.close();
});
