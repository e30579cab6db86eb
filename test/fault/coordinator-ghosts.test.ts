import { statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isOlder } from "../../broker/index.js";
import { lookIntoLimbo } from "../../cli/commands/queue/limbo.js";
import { type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

const LANE = { queue: "default", class: "normal", shape: "cpu" } as const;
const COUNT = 200;
const LEFT = 50;

/** Publishes tickets of no task and takes all but the last of them off the lane, each acknowledgement confirmed by the server. */
async function fillAndDrain(c: Client): Promise<void> {
  for (let i = 0; i < COUNT + LEFT; i++) await c.navvy.queues.publish(LANE, { id: `none${i}`, ticket: 1 });
  const { js, assets, subjects } = c.navvy.bus;
  const consumer = await js.consumers.get(assets.streams.queue.name, subjects.laneConsumer(LANE));
  for await (const message of await consumer.fetch({ max_messages: COUNT, expires: 5_000 })) await message.ackAck();
}

/** The server writes what a consumer has acknowledged a moment later; only what was written outlives a kill. */
async function isWritten(storeDir: string, sinceMs: number): Promise<boolean> {
  const files = (await readdir(storeDir, { recursive: true })).filter(
    (name) => name.includes("default+normal+cpu") && name.endsWith("o.dat"),
  );
  return files.some((name) => statSync(join(storeDir, name)).mtimeMs > sinceMs);
}

const standing = async (c: Client) => (await c.navvy.queues.messages.counts())[0]?.count ?? 0;

test("acknowledged messages that a killed server brings back are deleted by whoever coordinates, and it says so", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await fillAndDrain(c);
  const drainedAt = Date.now();
  expect(await standing(c)).toBe(LEFT);
  expect(await c.navvy.queues.messages.ghosts(LANE)).toEqual([]);
  await eventually("the acknowledgements are on disk", () => isWritten(nats.storeDir, drainedAt));
  await nats.kill("SIGKILL");
  await nats.restart();
  const ghosts = await eventually("the server is back", async () => [await c.navvy.queues.messages.ghosts(LANE)]);
  const [sequences = []] = ghosts;
  // 2.10 and newer come back clean: then there is nothing to delete, and nothing may be told.
  expect(sequences).toHaveLength(isOlder(nats.version, [2, 10, 0]) ? COUNT : 0);
  const limbo = (await lookIntoLimbo(c.navvy)).filter(({ kind }) => kind === "ghost");
  expect(limbo.map(({ sequence }) => sequence)).toEqual(sequences);
  await using _agent = await spawnAgent(nats, { queues: ["other"] });
  await eventually("none is left", async () => (await standing(c)) === LEFT, { timeoutMs: 30_000 });
  const told: unknown[] = [];
  for await (const event of c.navvy.events.follow({ kind: "queue", history: true, signal: AbortSignal.timeout(500) }))
    if (event.event === "repaired") told.push([event.id, event.data?.ghosts]);
  expect(told).toEqual(sequences.length > 0 ? [["default", sequences.length]] : []);
  // Work goes on over the place where they stood.
  await using _worker = await spawnAgent(nats);
  expect((await c.ended(await c.submit(["true"]))).status).toBe("completed");
});

test("what waits or is on its way is no ghost", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await c.submit(["true"]);
  await c.submit(["true"]);
  const { js, assets, subjects } = c.navvy.bus;
  const consumer = await js.consumers.get(assets.streams.queue.name, subjects.laneConsumer(LANE));
  const message = await consumer.next({ expires: 2_000 });
  expect(message?.seq).toBe(1);
  expect(await c.navvy.queues.messages.ghosts(LANE)).toEqual([]);
  await message?.ackAck();
  expect(await c.navvy.queues.messages.ghosts(LANE)).toEqual([]);
  expect(await standing(c)).toBe(1);
});

test("deleting a message that is gone already is no failure", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await c.submit(["true"]);
  expect(await c.navvy.queues.messages.delete(1)).toBe(true);
  expect(await c.navvy.queues.messages.delete(1)).toBe(false);
  expect(await c.navvy.queues.messages.delete(99)).toBe(false);
});
