import pino from "pino";
import { expect, test } from "vitest";
import { Coordinator } from "../../agent/coordinator/coordinator.js";
import { OpenTasks } from "../../agent/coordinator/open-tasks.js";
import { Reaper } from "../../agent/coordinator/reaper.js";
import { type Claim, Leadership, type Navvy, Session, sessionKey, sessionsBucket } from "../../broker/index.js";
import { encode } from "../../protocol/index.js";
import { type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";
import { startProxy } from "../support/tcp-proxy.js";

const log = pino({ level: "silent" });

/** Tasks on record as running under a session that nobody renews. */
async function deadTasks(c: Client, count: number, spec: { onDisconnect?: "continue" } = {}) {
  const session = await Session.open(c.navvy.bus, { agent: "dead", leaseMs: 1_000 });
  const claims: Claim[] = [];
  for (let i = 0; i < count; i++) {
    const id = await c.submit(["true"], { name: `task ${i}`, spec });
    const claim = await c.navvy.tasks.claims.claim({ id, ticket: 1 }, session.owner, { isHeld: () => false });
    if (claim) claims.push(claim);
  }
  expect(claims).toHaveLength(count);
  const bury = () => sessionsBucket(c.navvy.bus).delete(sessionKey(session.owner));
  return { session, ids: claims.map((claim) => claim.id), bury };
}

/** What was told of these tasks by whoever repaired them, by task. */
async function repairsOf(c: Client, navvies: Navvy[] = [c.navvy]): Promise<Map<string, string[]>> {
  for (const navvy of navvies) await navvy.events.flush();
  const told = new Map<string, string[]>();
  for await (const event of c.navvy.events.follow({ kind: "task", history: true, signal: AbortSignal.timeout(1_500) })) {
    const isRepair = event.data?.repaired === "lost session" || event.event === "unreachable" || event.event === "repaired";
    if (isRepair) told.set(event.id, [...(told.get(event.id) ?? []), event.event]);
  }
  return told;
}

async function openTasks(navvy: Navvy): Promise<OpenTasks> {
  const open = await OpenTasks.open(navvy, { onChange: () => {} });
  await eventually("every record was seen", () => open.isComplete);
  return open;
}

test("two coordinators in the same pass take each task back once", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using other = await client(nats);
  const { ids, bury } = await deadTasks(c, 40);
  const navvies = [c.navvy, other.navvy];
  const opens = await Promise.all(navvies.map(openTasks));
  await bury();
  await Promise.all(navvies.map((navvy, i) => new Reaper(navvy, log, { everyMs: 200, leaseMs: 1_000 }).pass(opens[i] as OpenTasks)));
  for (const open of opens) open.close();
  for (const id of ids)
    expect(await c.record(id)).toMatchObject({
      status: "queued",
      ticket: 2,
      class: "front",
      losses: 1,
      attempt: 1,
      attempts: [{ outcome: { kind: "lost" } }],
    });
  expect(await repairsOf(c, navvies)).toEqual(new Map(ids.map((id) => [id, ["queued"]])));
  const lanes = await c.navvy.queues.messages.counts();
  expect(lanes.find(({ lane }) => lane.class === "front")?.count).toBe(40); // one message each: the second was the same ticket
});

test("a coordinator that freezes in the middle of a pass and goes on beside the next one loses and repeats nothing", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await using first = await spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, { name: "first", lease: "2s", queues: ["none"] });
  await eventually("the first leads", () => first.log.some((line) => line.includes("coordinates")));
  await using second = await spawnAgent(nats, { name: "second", lease: "2s", queues: ["none"] });
  const { ids } = await deadTasks(c, 150);
  const back = new Set<string>();
  const watch = await c.navvy.tasks.watchHeads({
    onTask: (task) => void (task.status === "queued" ? back.add(task.id) : back.delete(task.id)),
    onGone: () => {},
    onReady: () => {},
  });
  const seen = await eventually("the first is in the middle of its pass", () => back.size, { timeoutMs: 20_000, everyMs: 1 });
  proxy.cut("hold"); // its answers: it waits in mid-pass
  first.kill("SIGSTOP");
  expect(seen).toBeLessThan(150);
  await eventually("the second takes over and takes the rest back", () => back.size === 150, { timeoutMs: 30_000 });
  watch.close();
  expect(second.log.some((line) => line.includes("coordinates"))).toBe(true);
  first.kill("SIGCONT");
  proxy.heal();
  await eventually("the first gave its place up or was given up", async () => !(await leads(c, "first")), { timeoutMs: 20_000 });
  await using _worker = await spawnAgent(nats, { slots: 8 });
  for (const id of ids) {
    const done = await c.ended(id, 50_000);
    expect(done).toMatchObject({ status: "completed", attempt: 2, losses: 1, ticket: 2 });
    expect(done.attempts.map(({ outcome }) => outcome?.kind)).toEqual(["lost", "exited"]);
  }
  expect([...(await repairsOf(c)).values()].every((told) => told.join() === "queued")).toBe(true);
}, 120_000);

test("time in which a coordinator's own reads hang or fail counts against nobody", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await using far = await client({ url: `nats://127.0.0.1:${proxy.port}` });
  const own = await Session.open(c.navvy.bus, { agent: "leader", leaseMs: 60_000 });
  const coordinator = new Coordinator({ navvy: far.navvy, log, leaseMs: 2_000, owner: () => own.owner });
  await eventually("it leads", () => coordinator.isLeading);
  const session = await Session.open(c.navvy.bus, { agent: "quiet", leaseMs: 2_000 });
  const isThere = async () => (await sessionsBucket(c.navvy.bus).get(sessionKey(session.owner))) !== undefined;
  await session.renew();
  await new Promise((resolve) => setTimeout(resolve, 800)); // it is seen
  proxy.cut("hold");
  await new Promise((resolve) => setTimeout(resolve, 3_500)); // longer than 1.2 leases
  proxy.heal();
  const healedAt = performance.now();
  // Nothing but silence now: it is taken away, and only after a whole count of its own.
  await eventually("it is taken away", async () => !(await isThere()), { timeoutMs: 20_000 });
  expect(performance.now() - healedAt).toBeGreaterThan(2_400 - 100);
  expect(await session.renew()).toBe("revoked");
  await coordinator.stop();
}, 60_000);

test("what runs on without a lease is left where it is, said once, and taken over by its agent's new session", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { ids, session, bury } = await deadTasks(c, 1, { onDisconnect: "continue" });
  const [id = ""] = ids;
  const open = await openTasks(c.navvy);
  const reaper = new Reaper(c.navvy, log, { everyMs: 200, leaseMs: 1_000 });
  await reaper.pass(open);
  expect(await c.record(id)).not.toHaveProperty("unreachableAt");
  await expect(c.navvy.tasks.lose(id)).rejects.toMatchObject({
    code: "illegal_move",
    message: expect.stringContaining("session of agent dead"),
  });
  await bury();
  await reaper.pass(open);
  await reaper.pass(open);
  await new Reaper(c.navvy, log, { everyMs: 200, leaseMs: 1_000 }).pass(open);
  expect(await c.record(id)).toMatchObject({ status: "running", attempt: 1, losses: 0, unreachableAt: expect.any(String) });
  expect(await c.navvy.tasks.claims.reap(id, session.owner)).toBeUndefined(); // another coordinator, whose reading is older
  // Events are published behind the reaper's back.
  await eventually("it is told", async () => (await repairsOf(c)).size > 0);
  expect(await repairsOf(c)).toEqual(new Map([[id, ["unreachable"]]]));
  const back = await Session.open(c.navvy.bus, { agent: "dead", leaseMs: 60_000 });
  expect(await c.navvy.tasks.claims.adopt({ id, attempt: 1, session: session.owner.session }, back.owner)).toBeDefined();
  expect(await c.record(id)).not.toHaveProperty("unreachableAt");
  await reaper.pass(open);
  expect(await c.record(id)).toMatchObject({ status: "running", owner: back.owner });
  // A person's word does what the reaper would have done.
  await back.release();
  await reaper.pass(open);
  expect(await c.navvy.tasks.lose(id, "the machine burned down")).toMatchObject({
    status: "queued",
    ticket: 2,
    class: "front",
    losses: 1,
    attempts: [{ outcome: { kind: "lost", reason: expect.stringMatching(/tester.*burned down/) } }],
  });
  await expect(c.navvy.tasks.lose(id)).rejects.toMatchObject({
    code: "illegal_move",
    message: expect.stringContaining("queued, not running"),
  });
  open.close();
});

test("a record that can not be taken back keeps no other from being taken back", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { ids, bury } = await deadTasks(c, 3);
  const [odd = "", ...rest] = ids;
  const kv = await c.navvy.tasks.bucket.handle();
  await kv.put(odd, encode({ ...(await c.record(odd)), taskType: 7 } as unknown as object)); // its head reads well, the rest does not
  const open = await openTasks(c.navvy);
  await bury();
  await new Reaper(c.navvy, log, { everyMs: 200, leaseMs: 1_000 }).pass(open);
  open.close();
  for (const id of rest) expect(await c.record(id)).toMatchObject({ status: "queued", losses: 1 });
});

test("a task that was lost with its record full is taken back all the same", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { ids, bury } = await deadTasks(c, 1);
  const [id = ""] = ids;
  const roomy = 65_536 - encode(await c.record(id)).length - 60;
  await c.navvy.tasks.bucket.modify(id, (task) => ({ ...task, reported: { ...task.reported, outputs: { big: "x".repeat(roomy) } } }));
  const open = await openTasks(c.navvy);
  await bury();
  await new Reaper(c.navvy, log, { everyMs: 200, leaseMs: 1_000 }).pass(open);
  open.close();
  expect(await c.record(id)).toMatchObject({ status: "queued", losses: 1, ticket: 2 });
});

test("a coordinator is replaced by its own lease, not by that of whoever waits", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const [slow, hasty] = [new Leadership(c.navvy.bus, 4_000), new Leadership(c.navvy.bus, 200)];
  const [holder, waiting] = ["slow", "hasty"].map((agent) => ({ agent, session: agent }));
  if (!holder || !waiting) throw new Error("two names make two owners");
  expect(await slow.campaign(holder)).toBe(true);
  expect(await hasty.campaign(waiting)).toBe(false);
  await new Promise((resolve) => setTimeout(resolve, 600)); // three leases of the hasty one
  expect(await hasty.campaign(waiting)).toBe(false);
  const takesOver = () => hasty.campaign(waiting);
  await eventually("silent for 1.2 of its own leases, it is", takesOver, { timeoutMs: 8_000, everyMs: 100 });
  expect(await slow.campaign(holder)).toBe(false);
});

async function leads(c: Client, agent: string): Promise<boolean> {
  const kv = await c.navvy.bus.js.views.kv(c.navvy.bus.assets.buckets.control.name);
  return Buffer.from((await kv.get("leader"))?.value ?? []).includes(agent);
}
