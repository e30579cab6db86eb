import { createHash, randomBytes } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import type { LogPiece } from "../../broker/index.js";
import { decode, isNavvyError, LogChunk } from "../../protocol/index.js";
import { type Client, client, spawnAgent } from "../support/agent.js";
import { byHand } from "../support/by-hand.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

const logStream = (c: Client) => c.navvy.bus.assets.streams.log.name;

async function read(c: Client, id: string, options: { attempt?: number; follow?: boolean } = {}): Promise<LogPiece[]> {
  const pieces: LogPiece[] = [];
  for await (const piece of c.navvy.logs.read(await c.record(id), options)) pieces.push(piece);
  return pieces;
}

const textOf = (pieces: LogPiece[], stream = "out") =>
  Buffer.concat(pieces.filter((piece) => piece.stream === stream).map(({ data }) => data)).toString();

test("a rolled log gives the same pieces when the stream has nothing of it any more", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const task = await byHand(c);
  await c.navvy.logs.publish(
    { id: task.id, attempt: 1 },
    { stream: "navvy", offset: 0, at: "2026-11-22T08:30:00.250Z", section: "setup: pip", data: Buffer.from("collecting\n") },
  );
  await task.chunk(9, "second, first to come\n");
  await task.print("oops \xff\n", "err");
  await task.chunk(0, "first\nö\n");
  await task.chunk(0, "first\nö\ns"); // a repeat that reaches further
  await task.print("end\n");
  expect(await c.navvy.logs.roll({ id: task.id, attempt: 1 })).toBe("not_over");
  await task.end({ logBytes: { out: 35, err: 8, navvy: 11 } });
  const before = await read(c, task.id);
  expect(textOf(before)).toBe("first\nö\nsecond, first to come\nend\n");

  expect(await c.navvy.logs.roll({ id: task.id, attempt: 1 })).toBe("rolled");
  await c.navvy.bus.jsm.streams.purge(logStream(c));
  expect(await read(c, task.id)).toEqual(before);
  expect(await read(c, task.id, { attempt: 1 })).toEqual(before);
  expect(await read(c, task.id, { follow: true })).toEqual(before);
  expect(before).toContainEqual(expect.objectContaining({ stream: "navvy", at: "2026-11-22T08:30:00.250Z", section: "setup: pip" }));

  const { log } = (await c.record(task.id)).attempts[0] ?? {};
  expect(log).toMatchObject({ bytes: { out: 35, err: 8, navvy: 11 }, upTo: 6 });
  // As docs/protocol.md says it.
  const content = await c.navvy.objects.getBytes(log?.sha256 ?? "");
  expect(createHash("sha256").update(content).digest("hex")).toBe(log?.sha256);
  expect(content.length).toBe(log?.sizeBytes);
  const frames = gunzipSync(content);
  const first = frames.readUInt32BE(0);
  const second = frames.readUInt32BE(4 + first);
  expect(decode(LogChunk, frames.subarray(8 + first, 8 + first + second), "a frame")).toMatchObject({ stream: "navvy", offset: 0 });
});

test("rolled by several at once, and again, a log is one object and leaves nothing on the stream", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using other = await client(nats);
  const task = await byHand(c);
  for (let i = 0; i < 50; i++) await task.print(`line ${i}\n`);
  await task.end();
  const whole = textOf(await read(c, task.id));
  const target = { id: task.id, attempt: 1 };
  await Promise.all([c.navvy.logs.roll(target), other.navvy.logs.roll(target), c.navvy.logs.roll(target)]);
  expect(await c.navvy.logs.standing()).toEqual([]);
  expect(await c.navvy.logs.roll(target)).toBe("rolled");
  expect(textOf(await read(c, task.id))).toBe(whole);
  // A killed server of 2.9 brings deleted messages back: the next pass takes them away again.
  await c.navvy.logs.publish(target, { stream: "out", offset: 0, at: new Date().toISOString(), data: Buffer.from("line 0\n") });
  expect(textOf(await read(c, task.id))).toBe(whole);
});

test("what was not all shipped when its machine was lost is rolled a minute later, and nothing while it may still come", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const task = await byHand(c, { spec: { lostLimit: 0 } });
  await task.print("half a");
  await task.end({ outcome: { kind: "lost" }, logBytes: "none" });
  const target = { id: task.id, attempt: 1 };
  expect(await c.navvy.logs.roll(target)).toBe("not_over");
  const past = new Date(Date.now() - 61_000).toISOString();
  await c.navvy.tasks.bucket.modify(task.id, (record) => ({
    ...record,
    attempts: record.attempts.map((each) => ({ ...each, endedAt: past })),
  }));
  expect(await c.navvy.logs.roll(target)).toBe("rolled");
  // The machine was only frozen, and ships on what nobody waits for: it is not lost either.
  await c.navvy.logs.publish(target, { stream: "out", offset: 6, at: new Date().toISOString(), data: Buffer.from(" line\n") });
  expect(await c.navvy.logs.roll(target)).toBe("rolled");
  expect(textOf(await read(c, task.id))).toBe("half a line\n");
});

test("bytes that its agent shipped and that are not there yet are waited for", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const task = await byHand(c);
  await task.print("0123456789");
  await task.end({ logBytes: { out: 20 } });
  const target = { id: task.id, attempt: 1 };
  expect(await c.navvy.logs.roll(target)).toBe("not_over");
  expect(textOf(await read(c, task.id))).toBe("0123456789");
  await task.print("0123456789");
  expect(await c.navvy.logs.roll(target)).toBe("rolled");
});

test("whoever reads along when a log is rolled sees neither gap nor repeat, over several attempts", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const task = await byHand(c, { spec: { retries: { limit: 1, backoffMs: 0 } } });
  const lines = (attempt: number) => Array.from({ length: 400 }, (_, i) => `attempt ${attempt} line ${i}\n`);
  const pieces: LogPiece[] = [];
  const gates = [10, 200, 450, 700].map((at) => ({ at, ...gate() }));
  const reading = (async () => {
    for await (const piece of c.navvy.logs.read(await c.record(task.id), { follow: true })) {
      pieces.push(piece);
      const due = gates.find(({ at }) => at === pieces.length);
      if (due) await due.passed;
    }
  })();
  const roll = (attempt: number) => c.navvy.logs.roll({ id: task.id, attempt });
  const stopAt = async (index: number) => {
    await eventually("the reader stands still", () => pieces.length === gates[index]?.at);
    return () => gates[index]?.open();
  };
  for (const line of lines(1)) await task.print(line);
  await task.end({ outcome: { kind: "exited", code: 1 } });
  const goOn = await stopAt(0);
  expect(await roll(1)).toBe("rolled");
  goOn();
  (await stopAt(1))();
  await task.begin();
  for (const line of lines(2)) await task.print(line);
  (await stopAt(2))();
  const last = await stopAt(3);
  await task.end();
  expect(await roll(2)).toBe("rolled");
  last();
  await reading;
  expect(textOf(pieces)).toBe([...lines(1), ...lines(2)].join(""));
  // Who comes later sees each attempt too, from the objects alone.
  expect(textOf(await read(c, task.id, { follow: true }))).toBe([...lines(1), ...lines(2)].join(""));
  expect(textOf(await read(c, task.id, { attempt: 1 }))).toBe(lines(1).join(""));
  expect(textOf(await read(c, task.id))).toBe(lines(2).join(""));
});

test("when a task ends, an agent rolls its log by itself, also one that a lost agent left, and the stream's copy goes", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const left = await byHand(c, { spec: { lostLimit: 0 } });
  await left.print("left behind\n");
  await left.end({ outcome: { kind: "lost" }, logBytes: "none" });
  const past = new Date(Date.now() - 61_000).toISOString();
  await c.navvy.tasks.bucket.modify(left.id, (record) => ({
    ...record,
    attempts: record.attempts.map((each) => ({ ...each, endedAt: past })),
  }));
  await using _agent = await spawnAgent(nats);
  const id = await c.submit(["sh", "-c", "echo out; echo err >&2; seq 20000"]);
  await c.ended(id);
  const whole = await c.logOf(id);
  await eventually("the stream is empty", async () => (await c.navvy.bus.jsm.streams.info(logStream(c))).state.messages === 0, {
    timeoutMs: 30_000,
  });
  const { log, logBytes } = (await c.record(id)).attempts[0] ?? {};
  expect(log?.bytes).toEqual({ out: logBytes?.out, err: logBytes?.err });
  expect(log?.sizeBytes).toBeLessThan((logBytes?.out ?? 0) / 2);
  expect(await c.logOf(id)).toBe(whole);
  expect(await c.logOf(left.id)).toBe("left behind\n");
});

test("a log that is rolled away under who just reads it once is read to its end", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const task = await byHand(c);
  for (let i = 0; i < 200; i++) await task.print(`line ${i}\n`);
  await task.end();
  const pieces: LogPiece[] = [];
  for await (const piece of c.navvy.logs.read(await c.record(task.id))) {
    pieces.push(piece);
    if (pieces.length === 5) expect(await c.navvy.logs.roll({ id: task.id, attempt: 1 })).toBe("rolled");
  }
  expect(textOf(pieces)).toBe(Array.from({ length: 200 }, (_, i) => `line ${i}\n`).join(""));
});

test("a server that is killed with -9 while a log is rolled costs nothing of it", { timeout: 60_000 }, async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const task = await byHand(c);
  const chunk = `${randomBytes(100_000).toString("hex")}\n`;
  for (let i = 0; i < 60; i++) await task.print(chunk);
  await task.end();
  const target = { id: task.id, attempt: 1 };
  // Whatever a server on its way down or up says to it: it is tried again.
  const rolling = c.navvy.logs.roll(target).catch((error: unknown) => isNavvyError(error));
  await eventually("a part of it is stored", async () => (await stored(c)) > 0);
  await nats.kill("SIGKILL");
  await nats.restart();
  expect(["rolled", true]).toContain(await rolling);
  await eventually("it is rolled", async () => (await c.navvy.logs.roll(target)) === "rolled", { timeoutMs: 30_000 });
  expect(await c.navvy.logs.standing()).toEqual([]);
  expect(await c.logOf(task.id)).toBe(chunk.repeat(60));
});

test("a follower that is slow gets all of it, however long after the task's end", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const task = await byHand(c);
  for (let i = 0; i < 200; i++) await task.print(`line ${i}\n`);
  await task.end();
  const { opened, open } = { opened: gate(), open: () => opened.open() };
  setTimeout(open, 2_500); // longer than what is still on its way gets
  const pieces: LogPiece[] = [];
  for await (const piece of c.navvy.logs.read(await c.record(task.id), { follow: true })) {
    pieces.push(piece);
    if (pieces.length === 3) await opened.passed;
  }
  expect(pieces).toHaveLength(200);
});

const stored = async (c: Client) => (await c.navvy.bus.jsm.streams.info(`OBJ_${c.navvy.bus.assets.objects.name}`)).state.messages;

function gate() {
  let open = () => {};
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open: () => open() };
}
