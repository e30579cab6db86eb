import { pino } from "pino";
import { expect, test } from "vitest";
import { type Claim, Session } from "../../broker/index.js";
import type { ParkWish, TaskRecord } from "../../protocol/index.js";
import { type Client, client } from "../../test/support/agent.js";
import { eventually } from "../../test/support/eventually.js";
import { startNats } from "../../test/support/nats.js";
import { OpenTasks } from "./open-tasks.js";
import { Sweeper } from "./sweeper.js";
import { Waker } from "./waker.js";

const log = pino({ level: "silent" });

/** Tasks that this process claims and ends by itself. */
async function hands(c: Client) {
  const session = await Session.open(c.navvy.bus, { agent: "hands", leaseMs: 60_000 });
  const { claims } = c.navvy.tasks;
  const claim = async (id: string): Promise<Claim> => {
    const made = await claims.claim({ id, ticket: (await c.record(id)).ticket }, session.owner, { isHeld: () => false });
    if (!made) throw new Error(`${id} can not be claimed`);
    return made;
  };
  const end = async (id: string, park?: Partial<ParkWish>) => {
    const held = await claim(id);
    return claims.finish(
      held,
      { kind: "exited", code: 0 },
      { reported: held.record.reported, ...(park ? { park: { on: [], ...park } } : {}) },
    );
  };
  return { claim, end };
}

/** A leader's part that wakes. */
async function leader(c: Client) {
  const waker = new Waker(c.navvy, log);
  const open: OpenTasks = await OpenTasks.open(c.navvy, { onChange: (task) => waker.consider(task), onOver: (id) => waker.over(id) });
  await eventually("every record was seen", () => open.isComplete);
  waker.pass(open);
  return {
    pass: () => waker.pass(open),
    [Symbol.asyncDispose]: async () => {
      waker.close();
      open.close();
    },
  };
}

const isWoken = (task: TaskRecord) => task.status === "queued" && task.parked === undefined;

test("a parked task is woken by the end of one that it waits for, of all of them, by its time, by a deleted one, and by nothing else", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { end } = await hands(c);
  const make = (name: string) => c.submit(["true"], { name });
  const [x, y, z] = [await make("x"), await make("y"), await make("z")] as const;
  const draft = (await c.navvy.tasks.create({ name: "draft" })).id;
  const parked = async (name: string, wish: Partial<ParkWish>) => {
    const id = await make(name);
    expect(await end(id, wish)).toBe("parked");
    return id;
  };
  const until = new Date(Date.now() + 700).toISOString();
  const any = await parked("any", { on: [x, y] });
  const all = await parked("all", { on: [x, y], all: true });
  const timed = await parked("timed", { on: [z], until });
  const gone = await parked("gone", { on: [draft] });
  const kept = await parked("kept", { on: [z], keys: true });
  await using one = await leader(c);
  await using _two = await leader(c);
  await eventually("its time has come", async () => isWoken(await c.record(timed)));
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(until));
  await end(x);
  expect(await c.navvy.tasks.wait(any, { until: isWoken, timeoutMs: 10_000 })).toMatchObject({
    ...{ class: "front", ticket: 3, attempt: 1, failures: 0, losses: 0, reason: `woken: task ${x} has ended` },
  });
  await end(y);
  expect(await c.navvy.tasks.wait(all, { until: isWoken, timeoutMs: 10_000 })).toMatchObject({
    reason: "woken: the 2 tasks that it waits for have ended",
  });
  await c.navvy.tasks.delete(draft);
  await c.navvy.tasks.wait(gone, { until: isWoken, timeoutMs: 10_000 });
  // What has ended before it parks wakes it as well.
  const late = await parked("late", { on: [x] });
  expect(await c.navvy.tasks.wait(late, { until: isWoken, timeoutMs: 10_000 })).toMatchObject({ ticket: 3 });
  one.pass();
  expect(await c.record(kept)).toMatchObject({ parked: { on: [z] }, ticket: 2 });
  // Two leaders, one ticket each.
  const front = (await c.navvy.queues.messages.counts()).find(({ lane }) => lane.class === "front");
  expect(front?.count).toBe(5);
  expect(await c.navvy.tasks.unpark(kept, "approved")).toBe(true);
  expect(await c.record(kept)).toMatchObject({ reason: "woken: approved", class: "front", ticket: 3 });
  expect(await c.navvy.tasks.unpark(kept, "approved")).toBe(false);
}, 60_000);

test("one that is woken while it is about to park does not, and a move or an abort finds a parked one where it is", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { claim, end } = await hands(c);
  const id = await c.submit(["true"]);
  const held = await claim(id);
  expect(await c.navvy.tasks.unpark(id, "approved")).toBe(true);
  const outcome = { kind: "exited", code: 0 } as const;
  const left = { reported: held.record.reported, park: { on: [], keys: true } };
  expect(await c.navvy.tasks.claims.finish(held, outcome, left)).toBe("retried");
  expect(await end(id, { keys: true })).toBe("parked");
  const count = async () => (await c.navvy.queues.messages.counts()).reduce((sum, lane) => sum + lane.count, 0);
  const before = await count();
  expect(await c.navvy.tasks.move(id, { class: "high" })).toMatchObject({ class: "high", parked: { keys: true } });
  expect(await count()).toBe(before);
  // For the sweeper it has no lost message, however long it has been there.
  await c.navvy.tasks.bucket.modify(id, (record) => ({ ...record, enqueuedAt: new Date(Date.now() - 60_000).toISOString() }));
  const open = await OpenTasks.open(c.navvy, { onChange: () => {} });
  await eventually("every record was seen", () => open.isComplete);
  await new Sweeper(c.navvy, log).pass(open);
  open.close();
  expect(await count()).toBe(before);
  const { task, progress } = await c.navvy.tasks.abort(id);
  expect([task.status, progress, task.parked, task.attempts.length]).toEqual(["aborted", "aborted", undefined, 2]);
}, 60_000);
