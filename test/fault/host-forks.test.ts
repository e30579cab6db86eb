import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { startNats } from "../support/nats.js";

/** The spawner of an agent: its child that runs the spawner's program. */
function spawnerOf(agent: number): number {
  for (const name of readdirSync("/proc").filter((one) => /^\d+$/.test(one))) {
    const read = (file: string) => (existsSync(`/proc/${name}/${file}`) ? readFileSync(`/proc/${name}/${file}`, "utf8") : "");
    const isSpawner = read("cmdline").includes("spawner") && read("status").includes(`PPid:\t${agent}\n`);
    if (isSpawner) return Number(name);
  }
  throw new Error(`agent ${agent} has no spawner`);
}

test("a machine that is out of open files costs its task nothing: it is lost there and runs elsewhere", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using poor = await spawnAgent(nats, { slots: 1, name: "poor" });
  const pid = spawnerOf(poor.pid);
  execFileSync("sh", ["-c", `prlimit --pid ${pid} --nofile=3:3`]);
  const id = await c.submit(["true"], { spec: { retries: { limit: 0, backoffMs: 0 }, lostLimit: 1_000 } });
  const lost = await c.navvy.tasks.wait(id, { until: (task) => task.losses > 0, timeoutMs: 20_000 });
  expect(lost.failures).toBe(0);
  expect(lost.attempts[0]?.outcome).toMatchObject({ kind: "lost", reason: expect.stringContaining("EMFILE") });
  await c.navvy.fleet.ask("poor", "drain");
  await using _rich = await spawnAgent(nats, { name: "rich" });
  expect(await c.ended(id, 30_000)).toMatchObject({ status: "completed", failures: 0 });
});
