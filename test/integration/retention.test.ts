import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { Collector } from "../../agent/coordinator/collector.js";
import type { TaskRecord } from "../../protocol/index.js";
import { client } from "../support/agent.js";
import { byHand } from "../support/by-hand.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";
import { DAY_MS, ended, holds, inTwoDays, quick, store } from "../support/storage.js";

test("retention takes logs, metrics, artifacts and records by age, each by its own rule, of ended tasks alone", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { tasks, storage } = c.navvy;
  const old = await ended(c, { project: "iris", ageDays: 40 });
  await c.navvy.logs.roll({ id: old.id, attempt: 1 });
  const young = await ended(c, { project: "iris", ageDays: 20 });
  const elsewhere = await ended(c, { project: "other", ageDays: 40 });
  const published = await ended(c, { project: "iris", ageDays: 40 });
  await tasks.publish(published.id);
  const tagged = await ended(c, { project: "iris", tags: ["keep"], ageDays: 40 });
  const running = await byHand(c, { project: "iris" });
  await running.print("a log\n");
  const draft = await tasks.create({ name: "template", project: "iris", spec: { command: ["x"] } });
  await storage.settings.set({ project: "iris" }, { logs: { ageMs: 30 * DAY_MS }, artifacts: { ageMs: 30 * DAY_MS } });
  expect((await storage.gc({ ...quick, isDry: true })).expired.map(({ id, kind }) => [id, kind])).toEqual([
    [old.id, "logs"],
    [old.id, "artifacts"],
  ]);
  await storage.gc(quick);
  expect(await holds(c, old.id)).toEqual({ log: false, metrics: true, artifacts: false });
  expect((await c.record(old.id)).expired).toEqual({ logs: expect.any(String), artifacts: expect.any(String) });
  expect(await c.navvy.logs.roll({ id: old.id, attempt: 1 })).toBe("unknown");
  for (const { id } of [young, elsewhere, published, tagged])
    expect(await holds(c, id)).toEqual({ log: true, metrics: true, artifacts: true });

  await storage.settings.set({}, { metrics: { ageMs: 10 * DAY_MS }, tasks: { ageMs: 30 * DAY_MS } });
  await storage.settings.set({ project: "other" }, { tasks: { ageMs: 0 } });
  await storage.gc(quick);
  await expect(c.record(old.id)).rejects.toMatchObject({ code: "not_found" });
  expect(await holds(c, young.id)).toEqual({ log: true, metrics: false, artifacts: true });
  expect(await holds(c, elsewhere.id)).toEqual({ log: true, metrics: false, artifacts: true });
  for (const { id } of [published, tagged]) expect(await holds(c, id)).toEqual({ log: true, metrics: true, artifacts: true });
  expect((await c.record(draft.id)).status).toBe("draft");
  expect(await c.logOf(running.id)).toBe("a log\n");
  expect((await inTwoDays(c.navvy).gc(quick)).objects.map(({ sha256 }) => sha256)).toContain(old.content.sha256);
});

test("a controller that is under way keeps its steps, however old, and a size keeps what is newest", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { tasks, storage } = c.navvy;
  const controller = await byHand(c);
  const step = await ended(c, { ageDays: 400 });
  await tasks.bucket.modify(step.id, (record) => ({ ...record, parent: controller.id }));
  const [oldest, older, newest] = [
    await ended(c, { queue: "q", ageDays: 3 }),
    await ended(c, { queue: "q", ageDays: 2 }),
    await ended(c, { queue: "q" }),
  ];
  await storage.settings.set({}, { tasks: { ageMs: 30 * DAY_MS } });
  await storage.settings.set({ queue: "q" }, { artifacts: { bytes: 4_500 } });
  await storage.gc(quick);
  expect(await holds(c, step.id)).toEqual({ log: true, metrics: true, artifacts: true });
  expect((await holds(c, oldest.id)).artifacts).toBe(false);
  for (const { id } of [older, newest]) expect((await holds(c, id)).artifacts).toBe(true);
  await controller.end();
  await storage.gc(quick);
  await expect(c.record(step.id)).rejects.toMatchObject({ code: "not_found" });
});

test("a task that is reset and runs again gets its new log and artifacts", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { tasks, storage } = c.navvy;
  const { id } = await ended(c, { ageDays: 40 });
  await storage.settings.set({}, { logs: { ageMs: 30 * DAY_MS }, artifacts: { ageMs: 30 * DAY_MS } });
  await storage.gc(quick);
  const reset = await tasks.reset(id);
  expect(reset.expired).toBeUndefined();
  expect((await storage.gc(quick)).expired).toEqual([]);
});

test("whoever coordinates collects garbage by itself as often as the rules say, and not without a rule", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { storage } = c.navvy;
  const { id } = await ended(c, { ageDays: 40 });
  await storage.settings.set({}, { logs: { ageMs: 30 * DAY_MS } });
  const log = pino({ level: "silent" });
  const collectors = [1, 2].map(() => new Collector({ navvy: c.navvy, log, lookEveryMs: 50 }));
  const get = vi.spyOn(storage.settings, "get");
  try {
    await eventually("both looked several times", () => get.mock.calls.length > 6);
    expect(await storage.lastGc()).toBeUndefined();
    await storage.settings.setEvery(DAY_MS);
    await eventually("the log is gone", async () => (await c.record(id)).expired?.logs !== undefined);
    const at = (await storage.lastGc())?.getTime();
    const looks = get.mock.calls.length;
    await eventually("they looked again", () => get.mock.calls.length > looks + 6);
    expect((await storage.lastGc())?.getTime(), "once in that time").toBe(at);
  } finally {
    for (const collector of collectors) collector.close();
  }
});

test("rules that can not be meant are refused with what to say instead", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { settings } = c.navvy.storage;
  const logs = { ageMs: DAY_MS };
  const refused = { code: "invalid_argument", fix: expect.any(Array) as unknown };
  await expect(settings.set({ project: "a", queue: "b" }, { logs })).rejects.toMatchObject(refused);
  await expect(settings.set({}, {})).rejects.toMatchObject(refused);
  await expect(settings.set({}, { tasks: { bytes: 5 } })).rejects.toMatchObject(refused);
  await expect(settings.set({}, { logs: { ageMs: 5 } })).rejects.toMatchObject(refused);
  await expect(c.navvy.storage.gc({ graceMs: 0 })).rejects.toMatchObject(refused);
  await settings.set({ project: "a" }, { logs, artifacts: { ageMs: 0, bytes: 10 } });
  await settings.set({ project: "a" }, { artifacts: { ageMs: DAY_MS } });
  const { projects } = await settings.set({ queue: "q" }, { logs });
  expect(projects).toEqual({ a: { logs, artifacts: { ageMs: DAY_MS, bytes: 10 } } });
  expect((await settings.set({ project: "a" }, { logs: "inherit", artifacts: "inherit" })).projects).toEqual({});
});

test("a survey says what lies where and what is over its limit", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const one = await ended(c, { project: "iris" });
  await c.navvy.logs.roll({ id: one.id, attempt: 1 });
  const two = await ended(c, { project: "other", ageDays: 3 });
  await c.navvy.tasks.publish(two.id);
  const input = await store(c);
  await c.navvy.tasks.create({ name: "x", project: "iris", spec: { command: ["x"], inputs: { input } } });
  await store(c);
  await c.navvy.storage.settings.set({ project: "other" }, { artifacts: { bytes: 100 } });
  const survey = await c.navvy.storage.survey();
  const record: TaskRecord = await c.record(one.id);
  expect(survey.objects.filter(({ count }) => count > 0)).toEqual([
    { kind: "artifacts", count: 2, bytes: 4_000 },
    { kind: "logs", count: 1, bytes: record.attempts[0]?.log?.sizeBytes },
    { kind: "inputs", count: 1, bytes: 2_000 },
    { kind: "unreferenced", count: 1, bytes: 2_000 },
  ]);
  expect(survey.places).toMatchObject([
    { place: "fleet", tasks: 3, artifacts: 4_000, keep: {} },
    { place: "project", name: "iris", tasks: 2, artifacts: 2_000 },
    { place: "project", name: "other", tasks: 1, artifacts: 2_000, logs: 6, keep: { artifacts: { bytes: 100 } } },
    { place: "queue", name: "default", tasks: 2, artifacts: 4_000 },
  ]);
  expect(survey.excesses).toEqual([{ place: "project other", kind: "artifacts", bytes: 2_000, limit: 100 }]);
  expect(survey.stores).toContainEqual(expect.objectContaining({ name: c.navvy.bus.assets.streams.log.name, maxAgeMs: 14 * DAY_MS }));
  expect(survey.gcAt).toBeUndefined();
});
