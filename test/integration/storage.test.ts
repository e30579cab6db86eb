import { randomBytes } from "node:crypto";
import { afterEach, expect, test, vi } from "vitest";
import { type GcOptions, type Navvy, Storage } from "../../broker/index.js";
import { MANIFEST_NAME, type Point, type TaskRecord } from "../../protocol/index.js";
import { type Client, client } from "../support/agent.js";
import { byHand } from "../support/by-hand.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

const DAY_MS = 86_400_000;

afterEach(() => void vi.useRealTimers());

/** Garbage collection as it would be in two days. */
function inTwoDays({ bus, tasks, objects, artifacts, events }: Navvy): Storage {
  return new Storage({ bus, tasks, objects, artifacts, events, clock: () => Date.now() + 2 * DAY_MS });
}

const quick: GcOptions = { settleMs: 200 };

const store = async (c: Client, text: string | Uint8Array = randomBytes(2_000)) => {
  const { sha256, sizeBytes } = await c.navvy.objects.putBytes(Buffer.from(text));
  return { sha256, sizeBytes };
};

const artifact = (name: string, of: { sha256: string; sizeBytes: number }, kind?: string) => ({
  name,
  ...of,
  attempt: 1,
  uploadedAt: new Date().toISOString(),
  ...(kind === undefined ? {} : { kind }),
});

/** A task that has ended, with a log, a metric and an artifact. */
async function ended(c: Client, options: { name?: string; project?: string; queue?: string; tags?: string[]; ageDays?: number } = {}) {
  const { ageDays = 0, ...rest } = options;
  const task = await byHand(c, rest);
  await task.print("a log\n");
  const point: Point = { key: "loss", step: 1, value: 0.5, time: Date.now() };
  await c.navvy.metrics.publish({ id: task.id, attempt: 1 }, [point], 0);
  const content = await store(c);
  await task.end({ reported: { artifacts: [artifact("model", content)] } });
  const endedAt = new Date(Date.now() - ageDays * DAY_MS).toISOString();
  await c.navvy.tasks.bucket.modify(task.id, (record) => ({ ...record, endedAt }));
  return { id: task.id, content };
}

const holds = async (c: Client, id: string) => {
  const record = await c.record(id);
  const points = await c.navvy.metrics.series({ id, attempt: 1 }, "loss");
  return { log: (await c.logOf(id)) !== "", metrics: points.length > 0, artifacts: record.reported.artifacts.length > 0 };
};

test("what any record refers to stays, and all else goes: objects, chunks of killed uploads, leftovers and traces of deletions", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { navvy } = c;
  const [bundle, input, diff, listed] = [await store(c), await store(c), await store(c), await store(c)];
  const many = [artifact("a", listed), artifact("b", await store(c))];
  const manifest = await store(c, JSON.stringify(many));
  await navvy.tasks.create({ name: "code", spec: { command: ["x"], code: { bundle: bundle.sha256, sizeBytes: 1 }, inputs: { input } } });
  await navvy.tasks.create({ name: "git", spec: { command: ["x"], git: { url: "https://x/y.git", commit: "a".repeat(40), diff } } });
  const task = await byHand(c);
  await task.print("a log\n");
  await task.end({ reported: { artifacts: [artifact(MANIFEST_NAME, manifest, "manifest")] } });
  await navvy.logs.roll({ id: task.id, attempt: 1 });
  const { id: kept, content } = await ended(c);
  const wanted = [bundle, input, diff, ...many, manifest, content].map(({ sha256 }) => sha256);

  const gone = await ended(c);
  await navvy.logs.roll({ id: gone.id, attempt: 1 });
  const rolled = (await c.record(gone.id)).attempts[0]?.log?.sha256 ?? "";
  await navvy.logs.publish({ id: gone.id, attempt: 1 }, { stream: "out", offset: 0, at: "", data: Buffer.from("late") });
  await navvy.tasks.delete(gone.id);
  const loose = await store(c);
  const subject = `$O.${navvy.bus.assets.objects.name}.C.KILLED`;
  await navvy.bus.js.publish(subject, randomBytes(1_000));

  const storage = inTwoDays(navvy);
  expect(await navvy.storage.gc(quick), "all of it is young").toMatchObject({
    objects: [],
    uploads: { count: 0 },
    leftovers: 0,
    markers: 0,
  });
  const dry = await storage.gc({ ...quick, isDry: true });
  expect(await navvy.objects.has(loose.sha256)).toBe(true);
  const report = await storage.gc(quick);
  expect(report.objects.map(({ sha256 }) => sha256).sort()).toEqual([gone.content.sha256, rolled, loose.sha256].sort());
  expect({ ...report, isDry: true }).toEqual(dry);
  expect(report).toMatchObject({ uploads: { count: 1, chunks: 1 }, leftovers: 2, markers: 1, expired: [], unreadable: [] });
  for (const sha256 of wanted) expect((await navvy.objects.getBytes(sha256)).length).toBeGreaterThan(0);
  expect(await c.logOf(task.id)).toBe("a log\n");
  expect(await holds(c, kept)).toEqual({ log: true, metrics: true, artifacts: true });
  const { state } = await navvy.bus.jsm.streams.info(`KV_${navvy.tasks.bucket.name}`);
  expect(state.messages).toBe((await c.list()).length);
  expect(await storage.gc(quick), "there is nothing more to do").toMatchObject({
    objects: [],
    uploads: { count: 0 },
    leftovers: 0,
    markers: 0,
  });
});

test("what somebody begins to refer to while garbage is collected stays: a record, the same content stored again", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using other = await client(nats);
  const [claimed, again, loose] = [await store(c), await store(c, "the same content"), await store(c)];
  const { id, content } = await ended(c);
  const record = await c.record(id);
  await c.navvy.tasks.delete(id);
  let isWatching = () => {};
  const watching = new Promise<void>((resolve) => (isWatching = resolve));
  const collecting = inTwoDays(c.navvy).gc({ settleMs: 1_500, onStep: (step) => step.startsWith("watching") && isWatching() });
  await watching;
  // Whoever read the record before it was deleted makes a task with what it named.
  await other.navvy.tasks.create({ name: "late", spec: { command: ["x"], inputs: { model: content, more: claimed } } });
  expect(record.reported.artifacts[0]?.sha256).toBe(content.sha256);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY_MS }); // to the store's own clock it is an hour old
  expect(await other.navvy.objects.putBytes(Buffer.from("the same content"))).toEqual({ ...again, existed: true });
  vi.useRealTimers();
  expect((await collecting).objects.map(({ sha256 }) => sha256)).toEqual([loose.sha256]);
  for (const { sha256 } of [content, claimed, again]) expect((await c.navvy.objects.getBytes(sha256)).length).toBeGreaterThan(0);
});

test("an upload that is under way is left alone, by several collections at once", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  let goOn = () => {};
  const gate = new Promise<void>((resolve) => (goOn = resolve));
  const bytes = randomBytes(3_000_000);
  async function* slowly() {
    yield bytes.subarray(0, 2_000_000);
    await gate;
    yield bytes.subarray(2_000_000);
  }
  const uploading = c.navvy.objects.putStream(slowly());
  const chunks = async () => (await c.navvy.bus.jsm.streams.info(`OBJ_${c.navvy.bus.assets.objects.name}`)).state.messages;
  await eventually("a part of it is there", async () => (await chunks()) >= 3);
  const reports = await Promise.all([1, 2, 3].map(() => c.navvy.storage.gc({ ...quick, graceMs: 60_000 })));
  for (const report of reports) expect(report).toMatchObject({ objects: [], uploads: { count: 0 } });
  goOn();
  const { sha256 } = await uploading;
  expect(Buffer.compare(await c.navvy.objects.getBytes(sha256), bytes)).toBe(0);
});

test("several collections at once take the same things away, and each only what is garbage", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using other = await client(nats);
  const loose = await Promise.all(Array.from({ length: 20 }, () => store(c)));
  const { content } = await ended(c);
  const reports = await Promise.all([inTwoDays(c.navvy).gc(quick), inTwoDays(other.navvy).gc(quick)]);
  const gone = reports.flatMap(({ objects }) => objects.map(({ sha256 }) => sha256)).sort();
  expect(gone).toEqual(loose.map(({ sha256 }) => sha256).sort());
  expect(await c.navvy.objects.has(content.sha256)).toBe(true);
});

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

test("a record that nobody can read keeps what it refers to and is named", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { bus } = c.navvy;
  const [ofNewer, ofDamaged] = [await store(c), await store(c)];
  const key = (last: string) => `$KV.${bus.assets.buckets.tasks.name}.${"0".repeat(25)}${last}`;
  const { encode } = await import("../../protocol/index.js");
  await bus.js.publish(key("1"), encode({ type: "navvy.task.v2", deep: [{ object: ofNewer.sha256 }] }));
  await bus.js.publish(key("2"), Buffer.concat([Buffer.from([0xc1, 0xd9, 0x40]), Buffer.from(ofDamaged.sha256)]));
  const report = await inTwoDays(c.navvy).gc(quick);
  expect(report.objects).toEqual([]);
  expect(report.unreadable).toHaveLength(2);
});

test("when NATS goes away in the middle nothing that is wanted is lost, and the next collection goes on", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const kept = await ended(c);
  const loose = await Promise.all(Array.from({ length: 10 }, () => store(c)));
  let isWatching = () => {};
  const watching = new Promise<void>((resolve) => (isWatching = resolve));
  const storage = inTwoDays(c.navvy);
  const collecting = storage
    .gc({ settleMs: 500, onStep: (step) => step.startsWith("watching") && isWatching() })
    .catch((error: { retryable?: boolean }) => expect(error.retryable).toBe(true));
  await watching;
  await nats.restart();
  await collecting;
  await storage.gc(quick);
  for (const { sha256 } of loose) expect(await c.navvy.objects.has(sha256)).toBe(false);
  expect(await holds(c, kept.id)).toEqual({ log: true, metrics: true, artifacts: true });
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
    { place: "project", name: "iris", tasks: 2, artifacts: 2_000 },
    { place: "project", name: "other", tasks: 1, artifacts: 2_000, logs: 6, keep: { artifacts: { bytes: 100 } } },
    { place: "queue", name: "default", tasks: 2, artifacts: 4_000 },
  ]);
  expect(survey.excesses).toEqual([{ place: "project other", kind: "artifacts", bytes: 2_000, limit: 100 }]);
  expect(survey.stores).toContainEqual(expect.objectContaining({ name: c.navvy.bus.assets.streams.log.name, maxAgeMs: 14 * DAY_MS }));
  expect(survey.gcAt).toBeUndefined();
});
