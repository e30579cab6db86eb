import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { TaskRecord } from "../../protocol/index.js";
import { type AgentProcess, type Client, client, lives, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

const sh = (script: string) => ["sh", "-c", script];
const KEEP = { adoptWithin: "60s" };
/** Says its process number, then prints 100 bytes every 20 ms and a metric with each, until a file is there. */
const chatty = (stop: string) =>
  sh(`echo "pid $$"; i=0; while [ ! -e "${stop}" ]; do printf '%0100d\\n' $i; printf '%0100d\\n' $i >&2
    echo "{\\"t\\":\\"scalar\\",\\"k\\":\\"x\\",\\"v\\":1}" >> "$NAVVY_EVENTS"; i=$((i+1)); sleep 0.02; done
    echo "n=$i" >> "$NAVVY_OUTPUT"; echo saved > "$NAVVY_ARTIFACTS/out"; exit 3`);
const pidOf = async (c: Client, id: string) => {
  await eventually("it prints", async () => (await c.logOf(id)).includes("pid "));
  return Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
};
const again = (nats: { url: string }, agent: AgentProcess, options: Parameters<typeof spawnAgent>[1] = {}) =>
  spawnAgent(nats, { name: agent.name, workDir: agent.workDir, ...KEEP, ...options });
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const lines = (count: number) => Array.from({ length: count }, (_, i) => `${String(i).padStart(100, "0")}\n`).join("");
const attemptsOf = (agent: AgentProcess) => readdirSync(join(agent.workDir, agent.name, "attempts"));

test("an agent killed under a running task and started again: the task never noticed, nothing of it is lost or doubled", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, KEEP);
  const stop = join(first.workDir, "stop");
  const id = await c.submit(chatty(stop));
  const pid = await pidOf(c, id);
  for (let round = 0, agent = first; round < 3; round++) {
    agent.kill("SIGKILL");
    await agent.exited;
    await new Promise((resolve) => setTimeout(resolve, 300)); // it goes on while nobody watches
    expect(lives(pid)).toBe(true);
    agent = await again(nats, agent);
    await eventually("it is adopted", () => agent.log.some((line) => line.includes("adopted")));
    if (round < 2) continue;
    writeFileSync(stop, "");
    const done = await c.ended(id);
    await agent[Symbol.asyncDispose]();
    expect(done).toMatchObject({ status: "failed", attempt: 1, losses: 0, failures: 1, outcome: { kind: "exited", code: 3 } });
    const n = Number(done.reported.outputs.n);
    expect(n).toBeGreaterThan(20);
    expect(sha256(await c.logOf(id, "out"))).toBe(sha256(`pid ${pid}\n${lines(n)}`));
    expect(sha256(await c.logOf(id, "err"))).toBe(sha256(lines(n)));
    expect(done.reported.metrics.x?.count).toBe(n);
    const points = await c.navvy.metrics.series({ id, attempt: 1 }, "x");
    expect(points.map((point) => point.step)).toEqual(Array.from({ length: n }, (_, i) => i));
    expect(done.reported.artifacts.map((artifact) => artifact.name)).toEqual(["out"]);
    await eventually("nothing of it is left", () => attemptsOf(agent).length === 0);
  }
});

test("a task that ended while no agent was there has its outcome", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, { ...KEEP, lease: "20s" });
  const stop = join(first.workDir, "stop");
  const id = await c.submit(chatty(stop));
  const pid = await pidOf(c, id);
  first.kill("SIGKILL");
  await first.exited;
  writeFileSync(stop, "");
  await eventually("it has ended", () => !lives(pid));
  await using _second = await again(nats, first, { lease: "20s" });
  const done = await c.ended(id);
  expect(done).toMatchObject({ attempt: 1, losses: 0, outcome: { kind: "exited", code: 3 } });
  expect(await c.logOf(id, "err")).toBe(lines(Number(done.reported.outputs.n)));
});

/** Logs are rolled whenever the leader comes to it. */
const withoutLogs = (record: TaskRecord) => ({ ...record, attempts: record.attempts.map(({ log: _log, ...attempt }) => attempt) });

test("what went on elsewhere is not adopted: it is killed and cleaned up, and writes nothing", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, KEEP);
  const id = await c.submit(sh('echo "pid $$ of $NAVVY_ATTEMPT"; [ $NAVVY_ATTEMPT = 1 ] && sleep 1000; exit 0'));
  const pid = await pidOf(c, id);
  first.kill("SIGKILL");
  await first.exited;
  await using _other = await spawnAgent(nats);
  const done = await c.ended(id);
  expect(done).toMatchObject({ status: "completed", attempt: 2, losses: 1 });
  expect(lives(pid)).toBe(true); // frozen, kept for its agent
  mkdirSync(join(first.workDir, first.name, "attempts", "half-removed.1"));
  writeFileSync(join(first.workDir, first.name, "spawner-00000000.sock"), "");
  await using second = await again(nats, first);
  expect(existsSync(join(first.workDir, first.name, "spawner-00000000.sock"))).toBe(false);
  await eventually("its process is gone", () => !lives(pid));
  await eventually("its folder is gone", () => attemptsOf(second).length === 0);
  expect(withoutLogs(await c.record(id))).toEqual(withoutLogs(done));
});

test("with the spawner killed too, the task goes back to its queue at once and nothing of it lives", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, { ...KEEP, lease: "60s" });
  const id = await c.submit(sh('echo "pid $$"; [ $NAVVY_ATTEMPT = 1 ] && sleep 1000; exit 0'));
  const pid = await pidOf(c, id);
  const journal = readFileSync(join(first.workDir, first.name, "journal.jsonl"), "utf8");
  first.kill("SIGKILL");
  process.kill(Number(/"op":"spawner","pid":(\d+)/.exec(journal)?.[1]), "SIGKILL");
  await first.exited;
  await using _second = await again(nats, first, { lease: "60s" });
  expect(await c.ended(id, 20_000)).toMatchObject({ status: "completed", attempt: 2, losses: 1 });
  expect(lives(pid)).toBe(false);
});

test("an upgrade under 50 running tasks loses none", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { ...KEEP, slots: 50, name: "upgraded" });
  const stop = join(agent.workDir, "stop");
  const ids = await Promise.all(
    Array.from({ length: 50 }, () =>
      c.submit(sh(`i=0; while [ ! -e "${stop}" ]; do i=$((i+1)); echo $i; sleep 0.2; done; echo "n=$i" >> $NAVVY_OUTPUT`)),
    ),
  );
  for (const id of ids) await c.executing(id);
  const reply = await c.navvy.fleet.ask("upgraded", "upgrade", { timeoutMs: 5_000 });
  expect(reply).toMatchObject({ ok: true, data: { running: 50 } });
  expect(await agent.exited).toBe(0);
  const ping = await eventually("the next one answers", () => c.navvy.fleet.ask("upgraded", "ping", { timeoutMs: 500 }), {
    timeoutMs: 30_000,
  });
  const pid = Number(ping?.data?.pid);
  expect(pid).not.toBe(agent.pid);
  writeFileSync(stop, "");
  for (const id of ids) {
    const done = await c.ended(id);
    expect(done).toMatchObject({ status: "completed", attempt: 1, losses: 0 });
    const n = Number(done.reported.outputs.n);
    expect(await c.logOf(id)).toBe(Array.from({ length: n }, (_, i) => `${i + 1}\n`).join(""));
  }
  await c.navvy.fleet.ask("upgraded", "stop", { now: true, timeoutMs: 5_000 });
  await eventually("it leaves", () => !lives(pid));
}, 120_000);

test("a time limit that came while no agent was there is told as what it is", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, { ...KEEP, lease: "20s" });
  const id = await c.submit(sh('echo "pid $$"; sleep 1000'), { spec: { timeLimitMs: 1_500, graceMs: 500 } });
  const pid = await pidOf(c, id);
  first.kill("SIGKILL");
  await first.exited;
  await eventually("its limit is kept", () => !lives(pid), { timeoutMs: 10_000 });
  await using _second = await again(nats, first, { lease: "20s" });
  expect(await c.ended(id)).toMatchObject({ status: "failed", attempt: 1, outcome: { kind: "timed_out" } });
});
