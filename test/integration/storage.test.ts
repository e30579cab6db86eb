import { randomBytes } from "node:crypto";
import { afterEach, expect, test, vi } from "vitest";
import { connect, Session } from "../../broker/index.js";
import { encode, MANIFEST_NAME, type NavvyError } from "../../protocol/index.js";
import { client } from "../support/agent.js";
import { byHand } from "../support/by-hand.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";
import { artifact, DAY_MS, ended, holds, inTwoDays, quick, store } from "../support/storage.js";

afterEach(() => void vi.useRealTimers());

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
  const image = await store(c);
  const item = { kind: "image" as const, name: "cat", step: 0, time: 0, mediaType: "image/png", ...image };
  await navvy.metrics.publishMedia({ id: task.id, attempt: 1 }, item, 0);
  const wanted = [bundle, input, diff, ...many, manifest, content, image].map(({ sha256 }) => sha256);

  const gone = await ended(c);
  await navvy.logs.roll({ id: gone.id, attempt: 1 });
  const rolled = (await c.record(gone.id)).attempts[0]?.log?.sha256 ?? "";
  await navvy.tasks.delete(gone.id);
  await navvy.logs.publish({ id: gone.id, attempt: 1 }, { stream: "out", offset: 0, at: "", data: Buffer.from("late") });
  const loose = await store(c);
  await (await Session.open(navvy.bus, { agent: "gone", leaseMs: 60_000 })).release();
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
  expect(report).toMatchObject({ uploads: { count: 1, chunks: 1 }, leftovers: 1, markers: 2, expired: [], unreadable: [] });
  for (const sha256 of wanted) expect((await navvy.objects.getBytes(sha256)).length).toBeGreaterThan(0);
  expect(await c.logOf(task.id)).toBe("a log\n");
  expect(await holds(c, kept)).toEqual({ log: true, metrics: true, artifacts: true });
  const { buckets } = navvy.bus.assets;
  expect((await navvy.bus.jsm.streams.info(`KV_${buckets.sessions.name}`)).state.messages, "those that live").toBe(3);
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
  const onStep = async (step: string) => {
    if (!step.startsWith("watching")) return;
    // Whoever read the record before it was deleted makes a task with what it named.
    await other.navvy.tasks.create({ name: "late", spec: { command: ["x"], inputs: { model: content, more: claimed } } });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY_MS }); // what is stored has been there for a day
    expect(await other.navvy.objects.putBytes(Buffer.from("the same content"))).toEqual({ ...again, existed: true });
    vi.useRealTimers();
  };
  expect(record.reported.artifacts[0]?.sha256).toBe(content.sha256);
  const collecting = inTwoDays(c.navvy).gc({ ...quick, onStep });
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

test("a record that nobody can read keeps what it refers to and is named", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { bus } = c.navvy;
  const [ofNewer, ofDamaged] = [await store(c), await store(c)];
  const key = (last: string) => `$KV.${bus.assets.buckets.tasks.name}.${"0".repeat(25)}${last}`;
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
  const storage = inTwoDays(c.navvy);
  let restarting: Promise<void> | undefined;
  const onStep = (step: string) => void (restarting ??= step.startsWith("watching") ? nats.restart() : undefined);
  await storage.gc({ ...quick, onStep }).catch((error: NavvyError) => expect(error.retryable).toBe(true));
  await restarting;
  await storage.gc(quick);
  for (const { sha256 } of loose) expect(await c.navvy.objects.has(sha256)).toBe(false);
  expect(await holds(c, kept.id)).toEqual({ log: true, metrics: true, artifacts: true });
});

test("who may not delete is told so, and nothing goes half", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await store(c);
  await c.navvy.close();
  nats.reconfigure(`authorization { users = [
    { user: admin, password: a }
    { user: viewer, password: v, permissions: { publish: { deny: ["$JS.API.STREAM.PURGE.>", "$JS.API.STREAM.MSG.DELETE.>", "$O.>"] } } }
  ] }`);
  await nats.restart();
  await using viewer = await connect({ servers: nats.url, user: "viewer", password: "v" });
  const objects = `OBJ_${viewer.bus.assets.objects.name}`;
  const before = (await viewer.bus.jsm.streams.info(objects)).state.messages;
  await expect(inTwoDays(viewer).gc(quick)).rejects.toMatchObject({ code: "permission_denied" });
  expect((await viewer.bus.jsm.streams.info(objects)).state.messages).toBe(before);
});
