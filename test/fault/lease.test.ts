import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { expect, test } from "vitest";
import { resolveConfig } from "../../agent/config.js";
import { SpawnerClient } from "../../agent/host/spawner-client.js";
import { LeaseLoop } from "../../agent/loops/lease.js";
import { sessionKey, sessionsBucket } from "../../broker/session.js";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";
import { isFrozen } from "../support/process-state.js";
import { startProxy } from "../support/tcp-proxy.js";

test("once it is thawed after an outage a tree is not frozen again: a renewal that took long is followed by the next at once", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await using _agent = await spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, { lease: "6s" });
  const id = await c.submit(["sh", "-c", 'echo "pid $$"; exec sleep 1000']);
  await eventually("it prints", async () => (await c.logOf(id)).includes("pid "));
  const pid = Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
  for (const how of ["hold", "drop"] as const) {
    proxy.cut(how);
    await eventually("it is frozen", () => isFrozen(pid));
    await delay(1_200); // the next renewal but one is under way by then
    proxy.heal();
    await eventually("it goes on", () => !isFrozen(pid), { everyMs: 10 });
    const until = performance.now() + 4_000;
    while (performance.now() < until) {
      expect(isFrozen(pid)).toBe(false);
      await delay(25);
    }
  }
  await c.navvy.tasks.abort(id);
  await c.ended(id);
});

test("from the word that its session is gone until the next one has begun, a lease is good for nothing", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  const spawner = await SpawnerClient.open({ workDir: folder.path, agent: "leased" });
  const log = pino({ level: "silent" });
  const config = resolveConfig({ connection: { servers: nats.url }, name: "leased", leaseMs: 20_000, workDir: folder.path, log });
  const seen: boolean[] = [];
  const loop: LeaseLoop = await LeaseLoop.start({
    config,
    spawnerSocket: spawner.socketPath,
    onSession: async () => {},
    onRevoked: async () => {
      seen.push(loop.isFresh);
      await delay(100); // what ran under it is being killed
      seen.push(loop.isFresh);
    },
    onRenewed: async () => {},
    onBroken: () => {},
  });
  try {
    const first = loop.owner;
    expect(loop.isFresh).toBe(true);
    await sessionsBucket(c.navvy.bus).delete(sessionKey(first));
    await eventually("the next session has begun", () => loop.owner.session !== first.session);
    expect(seen).toEqual([false, false]);
    expect(loop.isFresh).toBe(true);
  } finally {
    await loop.stop({ release: true, limitMs: 2_000 });
    await spawner.close();
  }
});
