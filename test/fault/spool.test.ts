import { statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { client, lives, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";
import { cgroupOf, isFrozen } from "../support/process-state.js";

const sh = (script: string) => ["sh", "-c", script];
const MIB = 2 ** 20;

test("a task that prints while NATS is away stands still at its limit, and goes on without a byte lost", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { lease: "60s", args: ["--max-spool", "1M"] });
  const line = "x".repeat(10_000);
  const script = `echo "pid $$"; i=0; while [ $i -lt 1500 ]; do echo "$i ${line}"; i=$((i+1)); [ $((i % 10)) = 0 ] && sleep 0.01; done`;
  const id = await c.submit(sh(script));
  await eventually("it prints", async () => (await c.logOf(id)).includes("pid "));
  const pid = Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
  const spool = join(agent.workDir, agent.name, "attempts", `${id}.1`, "stdout");
  const before = statSync(spool).size;
  await nats.kill("SIGKILL");
  await eventually("it stands still", () => isFrozen(pid), { timeoutMs: 15_000 });
  const size = statSync(spool).size;
  await delay(1_500); // in which nothing must be added
  expect(statSync(spool).size).toBe(size);
  expect(size - before).toBeLessThan(15 * MIB); // the whole of it; it is looked at once a second
  await nats.restart();
  const done = await c.ended(id, 60_000);
  expect(done).toMatchObject({ status: "completed", attempt: 1 });
  expect(done.reported.notes.map((note) => note.text).join()).toMatch(/stands still.*goes on/);
  expect(await c.logOf(id)).toBe(`pid ${pid}\n${Array.from({ length: 1500 }, (_, i) => `${i} ${line}\n`).join("")}`);
}, 120_000);

test("a task that stands still can be aborted", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { lease: "60s", args: ["--max-spool", "0"] });
  const id = await c.submit(sh('trap "echo saved; exit 0" TERM; while :; do echo x; done'));
  await eventually("it stands still", async () => (await c.record(id)).reported.notes.some((note) => note.text.includes("stands still")));
  await c.navvy.tasks.abort(id);
  expect(await c.ended(id)).toMatchObject({ status: "aborted" });
  expect(await c.logOf(id)).toContain("saved");
});

test("with agent and spawner killed together nothing that they ran goes on", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { adoptWithin: "60s" });
  const id = await c.submit(sh('echo "pid $$"; setsid sh -c "sleep 1000" & sleep 1000'));
  await eventually("it prints", async () => (await c.logOf(id)).includes("pid "));
  const pid = Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
  expect(cgroupOf(pid)).toContain(`navvy-${agent.name}`);
  const spawner = Number(/navvy-\S+-(\d+)\//.exec(cgroupOf(pid) ?? "")?.[1]);
  agent.kill("SIGKILL");
  process.kill(spawner, "SIGKILL");
  await eventually("it is gone", () => !lives(pid), { timeoutMs: 2_000 });
});
