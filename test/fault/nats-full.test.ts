import { createHash, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";
import { MIB, objectsBed } from "../support/objects.js";

const SMALL = "jetstream { max_file_store: 64MB }";
const sh = (script: string) => ["sh", "-c", script];

test("a task that logs more than the store holds is recorded with its end of the log, and others go on", { timeout: 90_000 }, async () => {
  await using nats = await startNats({ config: SMALL });
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { slots: 2, lease: "6s" });
  const id = await c.submit(sh("seq 1 20000000 | head -c 100000000; echo; echo the end; exit 3"));
  const done = await c.ended(id, 60_000);
  expect(done).toMatchObject({ status: "failed", attempt: 1, outcome: { kind: "exited", code: 3 } });
  expect(done.attempts[0]?.logBytes?.out).toBe(100_000_000 + "\nthe end\n".length);
  const log = await c.logOf(id);
  expect(log.length).toBeGreaterThan(4 * MIB);
  expect(log.endsWith("\nthe end\n")).toBe(true);
  expect((await c.ended(await c.submit(["true"]))).status).toBe("completed");
});

test("artifacts that do not fit wait on the agent, which says so; records go on; and once there is room they are stored", {
  timeout: 120_000,
}, async () => {
  await using nats = await startNats({ config: SMALL });
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { slots: 2, lease: "6s" });
  const id = await c.submit(sh('seq 10000000 17000000 > "$NAVVY_ARTIFACTS/big"; echo "$(sha256sum < "$NAVVY_ARTIFACTS/big")"; exit 3'));
  await said(agent, "artifacts can not be stored and wait");
  for (let i = 0; i < 3; i++) expect((await c.ended(await c.submit(["true"]), 20_000)).status).toBe("completed");
  expect((await c.record(id)).status).toBe("running");
  nats.reconfigure("jetstream { max_file_store: 600MB }");
  await nats.restart();
  await eventually("an operator raises the bucket's limit", () => raiseObjects(c, 200 * MIB).then(() => true));
  const done = await c.ended(id, 60_000);
  expect(done).toMatchObject({ status: "failed", attempt: 1, losses: 0, outcome: { code: 3 }, reported: { artifacts: [{ name: "big" }] } });
  const hash = createHash("sha256");
  for await (const part of c.navvy.artifacts.read(done, "big")) hash.update(part);
  expect(await c.logOf(id)).toContain(hash.digest("hex"));
  await said(agent, "artifacts are stored again");
});

test("a store that is full to the brim stops the fleet with the reason, and all of it goes on when there is room", {
  timeout: 120_000,
}, async () => {
  await using nats = await startNats({ config: SMALL });
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { slots: 2, lease: "6s" });
  const id = await c.submit(
    sh('i=0; while [ $i -lt 100 ]; do echo "line $i"; i=$((i+1)); sleep 0.1; done; echo x > "$NAVVY_ARTIFACTS/x"; exit 3'),
  );
  await eventually("it prints", async () => (await c.logOf(id)).includes("line 3"));
  await raiseObjects(c, -1);
  const filler = "filler";
  await c.navvy.bus.jsm.streams.add({ name: filler, subjects: ["filler.>"] });
  await eventually("nothing more fits", () => isRefused(c), { everyMs: 0 });
  await said(agent, /records can not be stored|logs can not be stored/);
  await c.navvy.bus.jsm.streams.delete(filler);
  const done = await c.ended(id, 60_000);
  expect(done).toMatchObject({ status: "failed", attempt: 1, losses: 0, outcome: { code: 3 }, reported: { artifacts: [{ name: "x" }] } });
  expect(await c.logOf(id)).toBe(Array.from({ length: 100 }, (_, i) => `line ${i}\n`).join(""));
  expect((await c.ended(await c.submit(["true"]), 20_000)).status).toBe("completed");
});

test("what was deleted or refused no longer counts against the store, on every version", async () => {
  await using bed = await objectsBed({ config: SMALL });
  for (let i = 0; i < 5; i++) {
    const { sha256 } = await bed.objects.putBytes(randomBytes(20 * MIB));
    await bed.objects.delete(sha256);
  }
  await expect(bed.objects.putBytes(randomBytes(80 * MIB))).rejects.toMatchObject({ code: "disk_full" });
  expect(await bed.messageCount()).toBe(0);
  // Servers before 2.10 lose count of the few hundred bytes of each object's meta, too.
  await eventually("nothing counts", async () => (await bed.bus.jsm.getAccountInfo()).storage < 10_000);
});

async function said(agent: AgentProcess, what: string | RegExp): Promise<void> {
  await eventually(`the agent says: ${what}`, () => agent.log.some((line) => line.match(what) !== null), { timeoutMs: 30_000 });
}

async function raiseObjects(c: Client, bytes: number): Promise<void> {
  const name = `OBJ_${c.navvy.bus.assets.objects.name}`;
  const { config } = await c.navvy.bus.jsm.streams.info(name);
  await c.navvy.bus.jsm.streams.update(name, { ...config, max_bytes: bytes });
}

/** Fills up with the largest messages first, then with small ones, until not even those are taken. */
async function isRefused(c: Client): Promise<boolean> {
  const fits = (bytes: number) =>
    c.navvy.bus.js.publish("filler.x", Buffer.alloc(bytes)).then(
      () => true,
      () => false,
    );
  for (const bytes of [900 * 1024, 64 * 1024, 512]) while (await fits(bytes));
  return !(await fits(1));
}
