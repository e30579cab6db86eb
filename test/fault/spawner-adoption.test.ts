import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SpawnerClient, type SpawnerOptions } from "../../agent/host/spawner-client.js";
import { LeaseLine } from "../../agent/host/spawner-lease.js";
import { isAlive, own, program, readPid, task } from "../fixtures/processes/task.js";
import { startVictim, type Victim } from "../fixtures/zoo/victim.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";

const LONG_MS = 60_000;
let folder: Awaited<ReturnType<typeof tempFolder>>;
let clients: SpawnerClient[];
beforeEach(async () => {
  folder = await tempFolder();
  clients = [];
});
afterEach(async () => {
  for (const client of clients.reverse()) await client.close();
  await folder[Symbol.asyncDispose]();
});

const file = (name: string) => join(folder.path, name);
const spec = (key: string, argv: string[]) => task(folder.path, own(key), argv);

async function open(changes: Partial<SpawnerOptions> = {}): Promise<SpawnerClient> {
  const client = await SpawnerClient.open({ workDir: folder.path, agent: "test", orphanMs: LONG_MS, ...changes });
  clients.push(client);
  return client;
}

async function adopt({ socketPath, pid }: SpawnerClient, changes: Partial<SpawnerOptions> = {}): Promise<SpawnerClient> {
  return await open({ adopt: { socketPath, pid }, ...changes });
}

/** An agent that can be killed, with two trees: `group.1` and `daemon.1`. */
async function startAgent(): Promise<Victim> {
  const starts = [
    spec("group.1", [program("children.sh"), file("group.pid")]),
    spec("daemon.1", [program("double-fork.sh"), file("daemon.pid")]),
  ];
  return await startVictim(folder.path, { orphanMs: LONG_MS, starts });
}

test("an agent that is killed finds its trees again, and ends them as if it had started them", async () => {
  const { agent, pids, ...left } = await startAgent();
  agent.kill("SIGKILL");
  await once(agent, "exit");
  const next = await open({ adopt: left });
  expect(next.pid).toBe(left.pid);
  expect(next.adopted.map(({ pid, state }) => ({ pid, state }))).toEqual(pids.map((pid) => ({ pid, state: "running" })));
  const [group, daemon] = [own("group.1"), own("daemon.1")];
  const runaway = await eventually("the daemon runs", () => readPid(file("daemon.pid")));
  process.kill(-pids[0]!, "SIGUSR1");
  expect(await next.exited(group)).toEqual({ code: null, signal: "SIGUSR1" });
  await next.gone(group);
  await next.kill(daemon);
  expect([...pids, runaway].some(isAlive)).toBe(false);
});

test("what ended while no agent was there is told to the next one, and to every one until it is released", async () => {
  const first = await open();
  await first.start(spec("a.1", ["sh", "-c", "sleep 0.2; exit 4"]));
  await first.start(spec("b.1", ["sleep", "0.7"]));
  await first.detach();
  await eventually("the first end is on disk", () => readFile(file("a.1.exit"), "utf8"));
  const second = await adopt(first);
  expect(second.adopted.find(({ key }) => key === own("a.1"))).toMatchObject({ code: 4 });
  await second.gone(own("a.1"));
  expect(await second.exited(own("b.1"))).toEqual({ code: 0, signal: null });
  await second.gone(own("b.1"));
  second.release(own("b.1"));
  await second.detach();
  const third = await adopt(first);
  expect(third.adopted).toEqual([{ key: own("a.1"), pid: expect.any(Number), state: "gone", code: 4, signal: null }]);
});

test("an end that was told to an agent which died before it could hear is told again", async () => {
  const { agent, pids, ...left } = await startAgent();
  agent.kill("SIGSTOP");
  process.kill(-pids[0]!, "SIGKILL");
  await eventually("it has ended", () => !isAlive(pids[0]!));
  agent.kill("SIGKILL");
  await eventually("its end is on disk", () => readFile(file("group.1.exit"), "utf8"));
  const next = await open({ adopt: left });
  expect(await next.exited(own("group.1"))).toEqual({ code: null, signal: "SIGKILL" });
});

test("a start that failed unheard, and one that was held back, are told to the next agent as never run", async () => {
  const first = await open();
  first.lease(0);
  await once(first, "frozen");
  void first.start(spec("held.1", ["true"])).catch(() => {});
  await first.detach();
  const second = await adopt(first);
  expect(second.isFrozen).toBe(true);
  expect(second.adopted).toMatchObject([{ key: own("held.1"), pid: null, state: "gone", failure: { errno: "ECANCELED" } }]);
  second.lease(null);
  await second.start(spec("held.1", ["true"]));
  expect(await second.exited(own("held.1"))).toEqual({ code: 0, signal: null });
});

test("a newer agent takes the place of an older one, which kills nothing and is told", async () => {
  const first = await open();
  const { pid } = await first.start(spec("a.1", ["sleep", "1000"]));
  const lost = once(first, "lost");
  const second = await adopt(first);
  await lost;
  await first.kill(own("a.1"));
  expect(isAlive(pid)).toBe(true);
  await second.kill(own("a.1"));
  expect(isAlive(pid)).toBe(false);
});

test("where nobody answers a new spawner is started", async () => {
  const first = await open();
  await first.close();
  const second = await adopt(first);
  expect(second.pid).not.toBe(first.pid);
  expect(second.adopted).toEqual([]);
});

test("a spawner that is stopped is killed and not adopted, so that two never serve one agent", { timeout: 30_000 }, async () => {
  const first = await open();
  await first.start(spec("a.1", ["sleep", "1000"]));
  process.kill(first.pid, "SIGSTOP");
  const lost = once(first, "lost");
  const second = await adopt(first);
  await lost;
  expect(second.pid).not.toBe(first.pid);
  await second.kill(own("a.1"));
});

test("what a spawner that died together with its agent left in cgroups is killed, and the folders go", async ({ skip }) => {
  const starts = [spec("a.1", ["sleep", "1000"])];
  const { agent, pid, socketPath, cgroup, pids } = await startVictim(folder.path, { orphanMs: LONG_MS, starts });
  agent.kill("SIGKILL");
  process.kill(pid, "SIGKILL");
  await eventually("both are gone", () => !isAlive(agent.pid!) && !isAlive(pid));
  const next = await open({ adopt: { socketPath, pid, cgroup } });
  if (cgroup === null) return skip("no cgroups here");
  expect(next.adopted).toEqual([]);
  expect([isAlive(pids[0]!), existsSync(cgroup)]).toEqual([false, false]);
});

test("an agent whose spawner dies removes its cgroups", async ({ skip }) => {
  const client = await open();
  const { pid } = await client.start(spec("a.1", ["sleep", "1000"]));
  const { cgroup } = client;
  process.kill(client.pid, "SIGKILL");
  await client.gone(own("a.1"));
  if (cgroup === null) return skip("no cgroups here");
  expect([isAlive(pid), existsSync(cgroup)]).toEqual([false, false]);
});

test("an agent of another wire can have a spawner leave, and nothing else", async () => {
  const first = await open();
  const { pid } = await first.start(spec("a.1", ["sleep", "1000"]));
  const socket = connect(first.socketPath);
  const say = (request: object) => socket.write(`${JSON.stringify(request)}\n`);
  const lines = createInterface(socket);
  say({ op: "hello", role: "agent", wire: 999, agent: "test", orphanMs: 0 });
  const [line] = (await once(lines, "line")) as [string];
  expect(JSON.parse(line)).toMatchObject({ event: "hello", wire: 1, trees: [{ key: own("a.1") }] });
  say({ op: "kill", key: own("a.1") });
  await first.start(spec("b.1", ["true"]));
  await first.exited(own("b.1"));
  expect(isAlive(pid)).toBe(true);
  say({ op: "shutdown" });
  expect(await first.exited(own("a.1"))).toMatchObject({ endedBy: "shutdown" });
  socket.destroy();
});

test("whoever sends rubbish is cut off, and nobody else notices", async () => {
  const first = await open();
  const socket = connect(first.socketPath);
  socket.write("GET / HTTP/1.1\n");
  await once(socket, "close");
  await first.start(spec("a.1", ["true"]));
  expect(await first.exited(own("a.1"))).toEqual({ code: 0, signal: null });
});

test("a line of leases keeps trees going while the agent's own thread stands still, and can do nothing else", async () => {
  const first = await open();
  const { pid } = await first.start(spec("a.1", ["sleep", "1000"]));
  const line = await LeaseLine.open(first.socketPath);
  let frozen = 0;
  first.on("frozen", () => frozen++);
  first.lease(100);
  line.lease(LONG_MS);
  await new Promise((resolve) => setTimeout(resolve, 300)); // time in which the first lease would pass
  expect(frozen).toBe(0);
  line.close();
  await line.closed;
  await first.start(spec("b.1", ["true"]));
  expect(isAlive(pid)).toBe(true);
  const stale = await LeaseLine.open(first.socketPath);
  await adopt(first);
  await stale.closed;
});
