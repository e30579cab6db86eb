import { expect, test } from "vitest";
import type { TaskRecord } from "../../protocol/index.js";
import { type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

const isParked = (task: TaskRecord) => task.parked !== undefined;

/** Parks in its first attempt, as any language can, and is done in the next one. */
async function waiter(c: Client, wish: object, more = "") {
  const line = JSON.stringify({ t: "park", ...wish });
  const script = `[ "$NAVVY_ATTEMPT" = 1 ] || exit 0; ${more} echo '${line}' >> "$NAVVY_EVENTS"`;
  const id = await c.submit(["sh", "-c", script], { queue: "services", taskType: "controller" });
  await c.navvy.tasks.wait(id, { until: isParked, timeoutMs: 20_000 });
  return id;
}

const ended = (c: Client, id: string) => c.navvy.tasks.wait(id, { timeoutMs: 40_000 });

test("a parked task outlives the server, its leader and its agent, and is woken by what ends meanwhile", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await c.navvy.queues.create("later");
  const [x, y] = [await c.submit(["true"], { queue: "later" }), await c.submit(["true"], { queue: "later" })];
  const first = await spawnAgent(nats, { name: "first", services: 1 });
  await eventually("the first leads", () => first.log.some((line) => line.includes("coordinates")));
  const parked = await waiter(c, { on: [x] });
  const second = await waiter(c, { on: [y] });
  expect(await c.record(parked)).toMatchObject({ status: "queued", parked: { on: [x] }, ticket: 2, reason: "parked: waits for 1 task" });
  await nats.restart();
  await c.navvy.tasks.abort(x);
  expect(await ended(c, parked)).toMatchObject({ status: "completed", attempt: 2, losses: 0, failures: 0 });
  first.kill("SIGKILL");
  await first.exited;
  await c.navvy.tasks.abort(y); // nobody leads
  await using _next = await spawnAgent(nats, { name: "next", services: 1 });
  expect(await ended(c, second)).toMatchObject({ status: "completed", attempt: 2, losses: 0, failures: 0 });
}, 120_000);

test("a parked task is woken at its time, or by a person", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { services: 1 });
  const timed = await waiter(c, { until: new Date(Date.now() + 4_000).toISOString() });
  expect(await ended(c, timed)).toMatchObject({ status: "completed", attempt: 2 });
  const asked = await waiter(c, { keys: true });
  await c.navvy.tasks.unpark(asked, "approved");
  expect(await ended(c, asked)).toMatchObject({ status: "completed", attempt: 2, attempts: [{ parked: true }, {}] });
}, 90_000);

test("a parked task that is aborted ends at once, and its open children with it where its program said so", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { services: 1 });
  const parked = await waiter(c, { keys: true }, `echo '{"t":"children","onAbort":"abort"}' >> "$NAVVY_EVENTS";`);
  const left = await waiter(c, { keys: true });
  const child = (parent: string, queue: string) => c.submit(["sleep", "1000"], { parent, queue });
  await c.navvy.queues.create("later");
  const [running, queued, other] = [await child(parked, "default"), await child(parked, "later"), await child(left, "later")];
  await c.executing(running);
  expect((await c.navvy.tasks.abort(parked)).progress).toBe("aborted");
  await c.navvy.tasks.abort(left);
  for (const id of [running, queued])
    expect(await ended(c, id)).toMatchObject({ status: "aborted", reason: `its controller ${parked} was aborted` });
  // Whoever enqueues one again later wants it.
  expect((await c.record(other)).status).toBe("queued");
  expect(agent.log.filter((line) => line.includes("could not"))).toEqual([]);
}, 90_000);
