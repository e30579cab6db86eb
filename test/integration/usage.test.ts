import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { fakeGpuList, fakeGpus } from "../support/fake-gpus.js";
import { startNats } from "../support/nats.js";

/** Two processes: one burns a core, the other holds 150 MB. */
const BUSY = `
import os, sys
if os.fork() == 0:
    while True: pass
held = bytearray(os.urandom(1)) * 150_000_000
sys.stdin.read(); import time; time.sleep(1000)`;

test("what a task's processes use stands beside its scalars while it runs, and a short task has nothing of it", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  const short = await c.submit(["sh", "-c", `echo '{"t":"scalar","k":"loss","v":1}' >> "$NAVVY_EVENTS"`]);
  expect(Object.keys((await c.ended(short)).reported.metrics)).toEqual(["loss"]);
  const id = await c.submit(["python3", "-c", BUSY]);
  const metrics = await eventually(
    "it is measured twice",
    async () => {
      const { metrics: now } = (await c.record(id)).reported;
      return (now["system/cpu"]?.count ?? 0) >= 2 && (now["system/memory"]?.max ?? 0) > 140e6 && now;
    },
    { timeoutMs: 50_000 },
  );
  await c.navvy.tasks.abort(id, { reason: "seen", graceMs: 0 });
  expect(metrics["system/memory"]?.max).toBeLessThan(400e6);
  // Others may leave it little of a core.
  expect(metrics["system/cpu"]?.max).toBeGreaterThan(0.05);
  expect(metrics["system/cpu"]?.max).toBeLessThan(2.5);
  expect(Object.keys(metrics)).toEqual(expect.arrayContaining(["system/io_read", "system/io_write"]));
  const points = await c.navvy.metrics.series({ id, attempt: 1 }, "system/cpu");
  expect(points[1]?.step).toBeGreaterThan(points[0]?.step ?? 0);
  await c.ended(id);
});

test("what the GPUs that a task holds are used for stands there too, of its own and of no other's", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using fake = await fakeGpus(fakeGpuList(2, { usedMib: 1_024 }));
  await using _agent = await spawnAgent(nats, { env: fake.env, args: ["--share-gpus"] });
  const id = await c.submit(["sh", "-c", 'echo "$NAVVY_GPUS"; sleep 60'], { spec: { resources: { gpus: 1 } } });
  const metrics = await eventually(
    "it is measured",
    async () => {
      const { metrics: now } = (await c.record(id)).reported;
      return Object.keys(now).some((key) => key.startsWith("system/gpu")) && now;
    },
    { timeoutMs: 50_000 },
  );
  const [held = ""] = (await c.logOf(id)).trim().split("\n");
  const shown = Object.keys(metrics).filter((key) => key.startsWith("system/gpu"));
  expect(shown).toEqual(expect.arrayContaining([`system/gpu${held}/memory`, `system/gpu${held}/util`]));
  expect(shown.filter((key) => !key.startsWith(`system/gpu${held}/`))).toEqual([]);
  expect(metrics[`system/gpu${held}/memory`]?.last).toBe(1_024 * 2 ** 20);
  await c.navvy.tasks.abort(id, { reason: "seen", graceMs: 0 });
  await c.ended(id);
});
