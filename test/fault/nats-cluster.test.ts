import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { connect } from "../../broker/index.js";
import { client, spawnAgent } from "../support/agent.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { submitLoad } from "../support/load.js";
import { startNats } from "../support/nats.js";
import { findNats } from "../support/nats-versions.js";

/** Makes the fleet's streams with three copies each. */
async function setUpReplicated(cluster: Cluster): Promise<void> {
  await cluster.healthy();
  await using _navvy = await connect({ servers: cluster.url, replicas: 3 });
  await cluster.healthy();
}

test("set up with three replicas, every stream and bucket has them, and a server that was away catches up", async () => {
  await using cluster = await startCluster();
  await setUpReplicated(cluster);
  await using c = await client(cluster);
  const infos = await c.navvy.bus.jsm.streams.list().next();
  expect(infos.map((info) => [info.config.name, info.config.num_replicas])).toEqual(infos.map((info) => [info.config.name, 3]));
  expect(infos).toHaveLength(15);
  await cluster.server("b").kill("SIGKILL");
  const draft = await c.navvy.tasks.create({ name: "meanwhile", spec: { command: ["true"] } });
  await cluster.server("b").restart();
  await cluster.healthy();
  expect((await c.record(draft.id)).name).toBe("meanwhile");
});

test("many that set an empty cluster up at once make it once, and none is refused", async () => {
  // Not room for all that they try out at the same time.
  await using cluster = await startCluster({ maxStore: "40GB" });
  await cluster.healthy();
  const all = await Promise.all(Array.from({ length: 6 }, () => connect({ servers: cluster.url, replicas: 3 })));
  const infos = await all[0]?.bus.jsm.streams.list().next();
  expect(infos).toHaveLength(15);
  await Promise.all(all.map((navvy) => navvy[Symbol.asyncDispose]()));
});

test("a fleet that was begun with one copy gets three by the same setting that a new one has", async () => {
  await using cluster = await startCluster();
  await cluster.healthy();
  await using c = await client(cluster);
  const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  await execa(process.execPath, [MAIN, "task", "ls"], { env: { NAVVY_SERVER: cluster.url, NAVVY_REPLICAS: "3" } });
  await cluster.healthy();
  const infos = await c.navvy.bus.jsm.streams.list().next();
  expect(infos.map((info) => info.config.num_replicas)).toEqual(infos.map(() => 3));
  const { exitCode, stderr } = await execa(process.execPath, [MAIN, "--replicas", "2", "task", "ls"], {
    env: { NAVVY_SERVER: cluster.url },
    reject: false,
  });
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining("there can not be 2 copies")]);
});

test.for([
  ["JetStream itself", "SIGKILL"],
  ["the task records", "SIGKILL"],
  ["the logs", "SIGSTOP"],
] as const)(
  "a cluster whose leader of %s gets %s in mid-load loses nothing and does nothing twice",
  { timeout: 180_000 },
  async ([what, signal]) => {
    await using folder = await tempFolder();
    await using cluster = await startCluster();
    await setUpReplicated(cluster);
    await using c = await client(cluster);
    await using _one = await spawnAgent(cluster, { slots: 4, lease: "30s" });
    await using _two = await spawnAgent(cluster, { slots: 4, lease: "30s" });
    const load = await submitLoad(c, { folder: folder.path, short: 92, chatty: 8 });
    await eventually("the load runs", async () => (await load.begun()) > 20, { timeoutMs: 30_000 });
    const { streams, buckets } = c.navvy.bus.assets;
    const streamOf = { "JetStream itself": "", "the task records": `KV_${buckets.tasks.name}`, "the logs": streams.log.name };
    const victim = cluster.server(streamOf[what] === "" ? await cluster.metaLeader() : await cluster.streamLeader(streamOf[what]));
    await victim.kill(signal);
    await eventually("work goes on without it", async () => (await load.begun()) > 60, { timeoutMs: 60_000 });
    if (signal === "SIGSTOP") victim.resume();
    else await victim.restart();
    await load.check(c, { mayMissClaims: true });
    await cluster.healthy();
  },
);

test("a cluster of servers before 2.9.21 is refused with the version and what to do", async () => {
  const binary = await findNats("2.9");
  await using nats = await startNats({
    binary,
    config: 'cluster { name: old, listen: "127.0.0.1:-1", routes: ["nats://127.0.0.1:9"] }\nserver_name: old',
  });
  await expect(connect({ servers: nats.url })).rejects.toMatchObject({
    code: "unsupported_server",
    message: expect.stringContaining(nats.version),
    fix: ["upgrade the servers to 2.9.21 or newer"],
  });
});

test("three replicas asked of a single server are refused with what to do", async () => {
  await using nats = await startNats();
  await expect(connect({ servers: nats.url, replicas: 3 })).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("can not hold 3 copies"),
  });
});
