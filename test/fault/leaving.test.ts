import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type AgentProcess, type Client, client, lives, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";
import { startProxy } from "../support/tcp-proxy.js";

const sh = (script: string) => ["sh", "-c", script];

test("an agent that is told to leave at once just after its link was cut leaves all the same", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await using agent = await spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, { lease: "6s" });
  const id = await c.submit(sh('echo "pid $$"; exec sleep 1000'));
  await eventually("it prints", async () => (await c.logOf(id)).includes("pid "));
  const pid = Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
  proxy.cut("hold");
  expect(await Promise.race([agent.leaveNow(), delay(25_000, "it is still there", { ref: false })])).toBe(0);
  expect(lives(pid)).toBe(false);
});

test("what an agent gave back before it was killed counts as given back, not as lost", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  const options = { name: "giving", lease: "20s", adoptWithin: "60s" };
  await using first = await spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, options);
  const id = await c.submit(sh('echo "pid $$"; [ $NAVVY_ATTEMPT = 1 ] && exec sleep 1000; exit 0'));
  await eventually("it prints", async () => (await c.logOf(id)).includes("pid "));
  const pid = Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
  proxy.cut("hold");
  void first.leaveNow();
  await eventually("its process is gone", () => !lives(pid));
  first.kill("SIGKILL"); // NATS has not heard of it
  await first.exited;
  await using _second = await spawnAgent(nats, { ...options, workDir: first.workDir });
  expect(await c.ended(id)).toMatchObject({ status: "completed", attempt: 2, losses: 0 });
});

test("an agent whose spawner dies while it starts takes no task and leaves", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await using folder = await tempFolder();
  const journal = join(folder.path, "starting", "journal.jsonl");
  const read = () => (existsSync(journal) ? readFileSync(journal, "utf8") : "");
  const up = spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, { name: "starting", workDir: folder.path, lease: "6s" });
  const refused = up.catch((error: Error) => error);
  await eventually("its session has begun", () => read().includes('"op":"session"'), { everyMs: 1 });
  proxy.cut("hold"); // it waits for NATS before it is up
  const id = await c.submit(["true"]);
  process.kill(Number(/"op":"spawner","pid":(\d+)/.exec(read())?.[1]), "SIGKILL");
  await delay(300);
  proxy.heal();
  const agent = await refused;
  if (!(agent instanceof Error)) expect(await agent.exited).toBe(0);
  expect(await c.record(id)).toMatchObject({ status: "queued", losses: 0 });
});

const task = sh(`for i in 1 2 3; do echo "line $i"; echo '{"t":"scalar","k":"x","v":1}' >> "$NAVVY_EVENTS"
  sleep 0.\${1:-2}; done; echo a > "$NAVVY_ARTIFACTS/a"`);

/** Sends tasks until it is told to stop, and aborts some at odd moments. */
function send(c: Client) {
  const ids: string[] = [];
  const aborted = new Set<string>();
  let isOver = false;
  const sending = (async () => {
    for (let i = 0; !isOver; i++) {
      const id = await c.submit([...task, "task", String(i % 7)], { spec: { graceMs: 300 } });
      ids.push(id);
      if (i % 9 === 0) {
        aborted.add(id);
        setTimeout(() => void c.navvy.tasks.abort(id).catch(() => aborted.delete(id)), (i * 37) % 900);
      }
      await delay(60);
    }
  })();
  return { ids, aborted, stop: () => ((isOver = true), sending) };
}

async function upgrade(c: Client, agent: Pick<AgentProcess, "name">, pid: number): Promise<number> {
  const ask = async (verb: "upgrade" | "ping") => c.navvy.fleet.ask(agent.name, verb, { timeoutMs: 1_000 });
  await eventually("it takes the word", async () => (await ask("upgrade"))?.ok, { timeoutMs: 20_000 });
  const next = async () => Number((await ask("ping"))?.data?.pid ?? pid);
  return eventually("the next one answers", async () => (await next()) !== pid && next(), { timeoutMs: 30_000 });
}

test("five upgrades under claims, ends and aborts lose nothing, double nothing and leave nothing", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { adoptWithin: "60s", name: "upgraded", slots: 6, lease: "6s" });
  const load = send(c);
  let { pid } = agent;
  for (let round = 0; round < 5; round++) {
    await delay(700 + round * 130);
    pid = await upgrade(c, agent, pid);
  }
  await load.stop();
  for (const id of load.ids) {
    const done = await c.ended(id, 60_000);
    expect(done.losses).toBe(0);
    if (done.status === "aborted" && load.aborted.has(id)) continue;
    expect(done).toMatchObject({ status: "completed", reported: { metrics: { x: { count: 3 } }, artifacts: [{ name: "a" }] } });
    expect(await c.logOf(id)).toBe("line 1\nline 2\nline 3\n");
    expect(await c.navvy.metrics.series({ id, attempt: done.attempt }, "x")).toHaveLength(3);
  }
  await c.navvy.fleet.ask(agent.name, "stop", { now: true, timeoutMs: 5_000 });
  await eventually("it leaves", () => !lives(pid));
}, 180_000);
