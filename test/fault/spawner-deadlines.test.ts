import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SpawnerClient } from "../../agent/host/spawner-client.js";
import type { RunSpec } from "../../agent/runners/runner.js";
import { isAlive, own, program, readPid, task } from "../fixtures/processes/task.js";
import { isHalted } from "../fixtures/zoo/observer.js";
import { startVictim, type VictimOrders } from "../fixtures/zoo/victim.js";
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
  for (const client of clients) await client.close();
  await folder[Symbol.asyncDispose]();
});

const file = (name: string) => join(folder.path, name);
const sleeper = (key: string, changes: Partial<Omit<RunSpec, "container">> = {}) => ({
  ...task(folder.path, own(key), ["sleep", "1000"]),
  ...changes,
});
const deaf = (key: string, changes: Partial<Omit<RunSpec, "container">> = {}) => ({
  ...task(folder.path, own(key), [program("ignore-term.sh"), file(key)]),
  ...changes,
});
const isDeaf = (key: string) => eventually(`${key} is deaf`, () => readPid(file(`${key}.pid`)));

async function open(adopt?: { socketPath: string; pid: number }): Promise<SpawnerClient> {
  const client = await SpawnerClient.open({ workDir: folder.path, agent: "victim", orphanMs: LONG_MS, ...(adopt && { adopt }) });
  clients.push(client);
  return client;
}

const startAgent = (orders: VictimOrders) => startVictim(folder.path, orders);

async function kill(agent: ChildProcess): Promise<void> {
  agent.kill("SIGKILL");
  if (agent.exitCode === null && agent.signalCode === null) await once(agent, "exit");
}

test("a tree that is told to end gets one SIGTERM, and SIGKILL after the grace", async () => {
  const spawner = await open();
  await spawner.start(deaf("a.1"));
  await isDeaf("a.1");
  const before = performance.now();
  spawner.end(own("a.1"), { graceMs: 300, by: "abort" });
  expect(await spawner.exited(own("a.1"))).toEqual({ code: null, signal: "SIGKILL", endedBy: "abort" });
  expect(performance.now() - before).toBeGreaterThan(290);
  expect(await readFile(file("a.1"), "utf8")).toBe("T");
});

test("the first cause stays; a second may shorten the grace and never lengthens it", async () => {
  const spawner = await open();
  for (const key of ["a.1", "b.1"]) await spawner.start(deaf(key));
  await Promise.all([isDeaf("a.1"), isDeaf("b.1")]);
  spawner.end(own("a.1"), { graceMs: LONG_MS, by: "abort" });
  spawner.end(own("a.1"), { graceMs: 50, by: "given_back" });
  expect(await spawner.exited(own("a.1"))).toMatchObject({ endedBy: "abort" });
  spawner.end(own("b.1"), { graceMs: 50, by: "abort" });
  spawner.end(own("b.1"), { graceMs: LONG_MS, by: "given_back" });
  expect(await spawner.exited(own("b.1"))).toMatchObject({ endedBy: "abort" });
});

test("a grace passes while the agent is stopped", async () => {
  const starts = [deaf("a.1")];
  const { agent, pids } = await startAgent({ orphanMs: 0, starts, ends: [{ key: own("a.1"), graceMs: 500, by: "abort" }] });
  agent.kill("SIGSTOP");
  await eventually("it is dead", () => !isAlive(pids[0]!));
  expect(existsSync(file("a.1.exit")), "a file while its agent is connected").toBe(false);
  await kill(agent);
  await eventually("its end is on disk", async () => (await readFile(file("a.1.exit"), "utf8")).includes('"endedBy":"abort"'));
});

test("a time limit holds while the agent is stopped, and the next agent hears of it", async () => {
  const { agent, pids, ...adopt } = await startAgent({ orphanMs: LONG_MS, starts: [deaf("a.1", { timeLimitMs: 300, graceMs: 100 })] });
  agent.kill("SIGSTOP");
  await eventually("it is dead", () => !isAlive(pids[0]!));
  await kill(agent);
  const next = await open(adopt);
  expect(await next.exited(own("a.1"))).toEqual({ code: null, signal: "SIGKILL", endedBy: "time_limit" });
});

test("an agent is told when a time limit has passed", async () => {
  const spawner = await open();
  await spawner.start(sleeper("a.1", { timeLimitMs: 100 }));
  expect(await once(spawner, "ending")).toEqual([own("a.1"), "time_limit"]);
  expect(await spawner.exited(own("a.1"))).toEqual({ code: null, signal: "SIGTERM", endedBy: "time_limit" });
});

test("time spent frozen counts neither against the limit nor against the grace", async () => {
  const spawner = await open();
  await Promise.all([spawner.start(sleeper("a.1", { timeLimitMs: 500 })), spawner.start(deaf("b.1"))]);
  await isDeaf("b.1");
  spawner.lease(0);
  await once(spawner, "frozen");
  spawner.end(own("b.1"), { graceMs: 200, by: "abort" });
  const ended: string[] = [];
  for (const key of ["a.1", "b.1"]) void spawner.exited(own(key)).then(() => ended.push(key));
  await delay(800); // longer than both
  expect(ended).toEqual([]);
  spawner.lease(null);
  expect(await spawner.exited(own("b.1"))).toMatchObject({ signal: "SIGKILL", endedBy: "abort" });
  expect(await spawner.exited(own("a.1"))).toMatchObject({ signal: "SIGTERM", endedBy: "time_limit" });
});

test("when the lease is over each tree does what its rule says", async () => {
  const spawner = await open();
  const [frozen, killed, kept] = (["freeze", "kill", "continue"] as const).map((onDisconnect) =>
    sleeper(`${onDisconnect}.1`, { onDisconnect }),
  );
  const pids = await Promise.all([frozen!, killed!, kept!].map(async (spec) => (await spawner.start(spec)).pid));
  const ending = once(spawner, "ending");
  spawner.lease(100);
  expect(await ending).toEqual([killed!.key, "lease"]);
  expect(await spawner.exited(killed!.key)).toEqual({ code: null, signal: "SIGKILL", endedBy: "lease" });
  await eventually("the first is frozen", () => isHalted(pids[0]!));
  expect(isHalted(pids[2]!)).toBe(false);
  spawner.end(kept!.key, { graceMs: 0, by: "abort" });
  expect(await spawner.exited(kept!.key)).toMatchObject({ endedBy: "abort" });
  spawner.lease(null);
  await eventually("the first goes on", () => !isHalted(pids[0]!));
});

test("without an agent trees go on, are frozen when its lease is over, and killed after the time they were given", async () => {
  const { agent, pid, pids } = await startAgent({ orphanMs: 1_500, leaseMs: 600, starts: [sleeper("a.1")] });
  await kill(agent);
  expect(isHalted(pids[0]!)).toBe(false);
  await eventually("it is frozen", () => isHalted(pids[0]!));
  await eventually("it is killed, and its spawner gone", () => ![pid, pids[0]!].some(isAlive));
  expect(JSON.parse(await readFile(file("a.1.exit"), "utf8"))).toMatchObject({ signal: "SIGKILL", endedBy: "orphaned" });
});

test("a tree that goes on without a lease outlives that time, and its spawner with it, until it ends or is adopted", async () => {
  const go = { ...task(folder.path, own("go.1"), ["sleep", "2"]), onDisconnect: "continue" as const };
  const { agent, pids, ...adopt } = await startAgent({ orphanMs: 300, leaseMs: 100, starts: [sleeper("a.1"), go] });
  await kill(agent);
  await eventually("the other is killed", () => !isAlive(pids[0]!));
  expect([adopt.pid, pids[1]!].map(isAlive)).toEqual([true, true]);
  const next = await open(adopt);
  expect(next.adopted).toMatchObject([
    { key: own("a.1"), state: expect.stringMatching(/exited|gone/), endedBy: "orphaned" },
    { key: own("go.1"), state: "running" },
  ]);
  await next.detach();
  await eventually("it has ended", () => !isAlive(pids[1]!));
  const last = await open(adopt);
  expect(await last.exited(own("go.1"))).toEqual({ code: 0, signal: null });
});

test("a spawner whose trees are over leaves when it has nothing to tell, and else waits for an agent", async () => {
  const first = await open();
  await first.start(task(folder.path, own("a.1"), ["true"]));
  await first.gone(own("a.1"));
  await first.detach();
  const second = await open(first);
  expect(second.pid).toBe(first.pid);
  second.release(own("a.1"));
  await second.detach();
  await eventually("it leaves", () => !isAlive(first.pid), { timeoutMs: 2_000 });
});
