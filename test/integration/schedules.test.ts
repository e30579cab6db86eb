import pino from "pino";
import { expect, test } from "vitest";
import { OpenTasks } from "../../agent/coordinator/open-tasks.js";
import { Timetable } from "../../agent/coordinator/timetable.js";
import type { NewSchedule } from "../../broker/index.js";
import { type FleetEvent, ScheduleState } from "../../protocol/index.js";
import { type Client, client } from "../support/agent.js";
import { byHand } from "../support/by-hand.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

const log = pino({ level: "silent" });
const HOUR = 3_600_000;

/** A schedule that is due at full hours from now on. */
async function hourly(c: Client, more: Partial<NewSchedule> = {}) {
  const template = await c.navvy.tasks.create({ name: "train", spec: { command: ["true"] }, parameters: { "General/lr": 0.1 } });
  const startAt = new Date(Date.now() + HOUR).toISOString();
  const schedule = await c.navvy.schedules.create({
    name: "hourly",
    when: { kind: "interval", everyMs: HOUR, startAt },
    template: template.id,
    launch: { queue: "default" },
    ...more,
  });
  const made = () => c.list({ clonedFrom: template.id });
  return { template, schedule, made, dueAt: (run: number) => new Date(Date.parse(startAt) + (run - 1) * HOUR).toISOString() };
}

/** Who leads, at a time so many hours from now. */
const leader = (c: Client, hours: () => number) => Timetable.open({ navvy: c.navvy, log, now: () => Date.now() + hours() * HOUR + 1_000 });

async function eventsOf(c: Client, name: string, many: number): Promise<FleetEvent[]> {
  await c.navvy.events.flush();
  const told: FleetEvent[] = [];
  for await (const event of c.navvy.events.follow({ kind: "schedule", id: name, history: true, signal: AbortSignal.timeout(20_000) })) {
    told.push(event);
    if (told.length === many) break;
  }
  return told;
}

test("two leaders at once fire once, and what was due while there was none is made up for", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using other = await client(nats);
  const { made, dueAt, schedule } = await hourly(c, {
    catchUp: "all",
    overlap: "parallel",
    launch: {
      queue: "default",
      class: "high",
      tags: ["nightly"],
      parameters: { "General/run": "${schedule.run}", "General/of": "${schedule.name} at ${schedule.time}" },
    },
  });
  const tables = await Promise.all([c, other].map((each) => leader(each, () => 3)));
  await eventually("all three have run", async () => (await c.navvy.schedules.get("hourly")).state.last?.run === 3);
  await eventually("nothing waits", async () => (await c.navvy.schedules.get("hourly")).state.waiting.length === 0);
  for (const table of tables) table.close();
  const tasks = (await made()).sort((a, b) => a.name.localeCompare(b.name));
  expect(tasks.map(({ name }) => name)).toEqual(["train #1", "train #2", "train #3"]);
  expect(tasks[1]).toMatchObject({
    status: "queued",
    class: "high",
    ticket: 1,
    tags: ["nightly"],
    firedBy: { kind: "schedule", name: "hourly", id: schedule.id, run: 2, at: dueAt(2) },
    spec: { parameters: { General: { lr: 0.1, run: 2, of: `hourly at ${dueAt(2)}` } } },
  });
  expect((await c.navvy.queues.messages.counts()).reduce((sum, { count }) => sum + count, 0)).toBe(3);
  await other.navvy.events.flush();
  expect((await eventsOf(c, "hourly", 4)).map(({ event }) => event)).toEqual(["created", "fired", "fired", "fired"]);
});

test("what a leader began that died between two writes is finished once", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { schedule, template, made, dueAt } = await hourly(c);
  const at = dueAt(1);
  // It decided, made the task, and did not come to put it on the queue.
  const state: ScheduleState = {
    ...ScheduleState.parse({ ...(await c.navvy.schedules.get("hourly")).state, decidedTo: at, runs: 1, timed: 1 }),
    waiting: [{ key: at, at, run: 1 }],
  };
  const kv = await c.navvy.bus.js.views.kv(c.navvy.bus.assets.buckets.schedules.name, { bindOnly: true });
  const { encode } = await import("../../protocol/index.js");
  await kv.put("hourly.state", encode(state));
  const draft = await c.navvy.tasks.clone(template.id, {
    name: "train #1",
    key: at,
    firedBy: { kind: "schedule", name: "hourly", id: schedule.id, at, run: 1 },
  });
  expect(draft.status).toBe("draft");
  const table = await leader(c, () => 0);
  await eventually("it is on its queue", async () => (await c.record(draft.id)).status === "queued");
  await eventually("it is crossed off", async () => (await c.navvy.schedules.get("hourly")).state.last?.task === draft.id);
  table.close();
  expect(await made()).toHaveLength(1);
});

test("a run waits for the last one to end, or is left out, as the schedule says", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const one = await hourly(c, { name: "one-by-one", overlap: "queue" });
  const other = await hourly(c, { name: "skipping", overlap: "skip" });
  let hours = 1;
  const table = await leader(c, () => hours);
  const open = await OpenTasks.open(c.navvy, { onChange: () => {}, onOver: (id) => table.taskEnded(id) });
  const first = await eventually("the first runs", async () => (await one.made())[0]);
  await eventually("the other's too", async () => (await other.made())[0]);
  hours = 2;
  for (const name of ["one-by-one", "skipping"]) await c.navvy.schedules.advance(name, Date.now() + hours * HOUR + 1_000);
  const look = await c.navvy.schedules.get("one-by-one");
  expect(look.state).toMatchObject({ runs: 2, waiting: [{ run: 2 }], last: { run: 1 } });
  expect((await c.navvy.schedules.get("skipping")).state).toMatchObject({ runs: 1, skipped: 1, waiting: [] });
  await expect(c.navvy.schedules.runNow("skipping")).rejects.toThrow(/does not run now: run 1 has not ended/);
  expect(await one.made()).toHaveLength(1);
  await c.navvy.tasks.abort(first.id);
  await eventually("the second runs once the first has ended", async () => (await one.made()).length === 2);
  table.close();
  open.close();
  expect(await other.made()).toHaveLength(1);
  expect((await eventsOf(c, "skipping", 3)).map(({ event }) => event)).toEqual(["created", "fired", "skipped"]);
});

test("a template that was deleted is told, and keeps no other schedule back", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { template, made } = await hourly(c, { name: "orphan" });
  const other = await hourly(c, { name: "well" });
  await c.navvy.tasks.delete(template.id);
  const table = await leader(c, () => 1);
  await eventually("the other one runs", async () => (await other.made()).length === 1);
  const { state } = await eventually("the trouble is told", async () => {
    const look = await c.navvy.schedules.get("orphan");
    return look.state.trouble && look;
  });
  table.close();
  expect(state).toMatchObject({ waiting: [], trouble: { message: expect.stringContaining("its template train") } });
  expect(await made()).toHaveLength(0);
  expect((await eventsOf(c, "orphan", 2)).map(({ event }) => event)).toEqual(["created", "failed"]);
  await expect(c.navvy.schedules.runNow("orphan")).rejects.toThrow(/could not run: its template train/);
});

test("retention takes no template, however old it is", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const old = await Promise.all([byHand(c), byHand(c), byHand(c)]);
  for (const task of old) {
    await task.end();
    await c.navvy.tasks.bucket.modify(task.id, (record) => ({ ...record, endedAt: new Date(Date.now() - 40 * 24 * HOUR).toISOString() }));
  }
  const [template, watched, other] = old;
  await hourly(c, { template: template?.id ?? "" });
  await c.navvy.triggers.create({
    name: "again",
    on: { kind: "status", statuses: ["failed"] },
    template: watched?.id ?? "",
    launch: { queue: "default" },
  });
  await c.navvy.storage.settings.set({}, { tasks: { ageMs: 30 * 24 * HOUR } });
  const { expired } = await c.navvy.storage.gc({ isDry: true });
  expect(expired.map(({ id }) => id)).toEqual([other?.id]);
});

test("what can not be is refused, with what was probably meant", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { template } = await hourly(c, { name: "nightly" });
  const attempt = (more: Partial<NewSchedule>) => hourly(c, { name: "x", ...more });
  await expect(attempt({ when: { kind: "once", at: "2020-01-01T00:00:00.000Z" } })).rejects.toThrow("is past");
  await expect(attempt({ until: "2020-01-01T00:00:00.000Z" })).rejects.toThrow("is past");
  await expect(attempt({ until: new Date(Date.now() + HOUR / 2).toISOString() })).rejects.toThrow("it would never run");
  await expect(attempt({ catchUp: "all", overlap: "skip" })).rejects.toThrow("would skip each other");
  await expect(attempt({ template: "trian" })).rejects.toThrow("did you mean train");
  await expect(attempt({ launch: { queue: "default", name: "${schedule.runn}" } })).rejects.toThrow(
    "stands for nothing here; did you mean run?",
  );
  await expect(attempt({ name: "nightly" })).rejects.toThrow("exists already");
  await expect(attempt({ name: "every night" })).rejects.toThrow("is not acceptable");
  await expect(c.navvy.schedules.get("nightli")).rejects.toThrow("did you mean nightly");
  const empty = await c.navvy.tasks.create({ name: "empty" });
  await expect(attempt({ template: empty.id })).rejects.toThrow("has no command");
  await c.navvy.tasks.enqueue(template.id, { queue: "gpu-pool" });
  await expect(attempt({ launch: { queue: "gpu-poll" } })).rejects.toThrow("gpu-pool");
  expect((await c.navvy.schedules.list()).map(({ schedule }) => schedule.name)).toEqual(["nightly"]);
});
