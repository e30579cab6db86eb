import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Objects } from "../../broker/objects.js";
import { MIB, type ObjectsBed, objectsBed, sha256 } from "../support/objects.js";

const CHUNK = 512 * 1024;
/** A broken connection is noticed at once; waiting for what was sent on it to time out would take 20 s. */
const PAUSE_MS = 10_000;

let bed: ObjectsBed;

beforeEach(async () => {
  bed = await objectsBed();
});

afterEach(() => bed[Symbol.asyncDispose]());

describe("a stored object that was damaged", () => {
  test("with other bytes in a chunk is corrupt, and no file appears", async () => {
    const { sha256: name } = await bed.objects.putBytes(randomBytes(MIB));
    const subject = await bed.chunkSubject(name);
    await bed.bus.jsm.streams.purge(bed.stream, { filter: subject });
    await bed.bus.js.publish(subject, randomBytes(CHUNK));
    await bed.bus.js.publish(subject, randomBytes(CHUNK));
    const file = join(bed.folder, "out");
    await expect(bed.objects.getToFile(name, file)).rejects.toMatchObject({ code: "corrupt" });
    expect(await readdir(bed.folder)).toEqual([]);
  });

  test("by a lost chunk is corrupt", async () => {
    const { sha256: name } = await bed.objects.putBytes(randomBytes(2 * MIB));
    const lost = await bed.bus.jsm.streams.getMessage(bed.stream, { last_by_subj: await bed.chunkSubject(name) });
    await bed.bus.jsm.streams.deleteMessage(bed.stream, lost.seq);
    await expect(bed.objects.getBytes(name)).rejects.toMatchObject({ code: "corrupt" });
  });
});

describe("the server killed with -9 and started again", () => {
  test("in the middle of an upload costs a pause and not a byte", { timeout: 60_000 }, async () => {
    const bytes = randomBytes(48 * MIB);
    let restart: Promise<void> | undefined;
    async function* source() {
      for (let at = 0; at < bytes.length; at += MIB) {
        if (at === 16 * MIB) restart = killAndRestart(); // not awaited: the upload runs into it
        yield bytes.subarray(at, at + MIB);
      }
    }
    const start = performance.now();
    const stored = await bed.objects.putStream(source());
    expect(performance.now() - start).toBeLessThan(PAUSE_MS);
    await restart;
    expect(stored).toEqual({ sha256: sha256(bytes), sizeBytes: bytes.length, existed: false });
    expect(await bed.messageCount()).toBe(97);
    await bed.objects.getToFile(stored.sha256, join(bed.folder, "back"));
    expect(sha256(await readFile(join(bed.folder, "back")))).toBe(stored.sha256);
  });

  test("in the middle of a download lets it go on behind the last chunk", { timeout: 60_000 }, async () => {
    const bytes = randomBytes(32 * MIB);
    const { sha256: name } = await bed.objects.putBytes(bytes);
    const hash = createHash("sha256");
    let received = 0;
    const start = performance.now();
    for await (const part of bed.objects.get(name)) {
      hash.update(part);
      received += part.length;
      if (received === 8 * MIB) await killAndRestart();
    }
    expect(hash.digest("hex")).toBe(name);
    expect(performance.now() - start).toBeLessThan(PAUSE_MS);
  });

  test("and not coming back ends the upload once patience is over", { timeout: 60_000 }, async () => {
    const impatient = new Objects(bed.bus, { patienceMs: 1_500 });
    async function* source() {
      yield randomBytes(4 * MIB);
      await bed.nats.kill("SIGKILL");
      yield randomBytes(4 * MIB);
    }
    await expect(impatient.putStream(source())).rejects.toMatchObject({ code: "nats_unreachable" });
  });
});

describe("an upload that fails", () => {
  test("because its source does leaves no chunk, and the source's own error comes through", async () => {
    async function* source() {
      yield randomBytes(4 * MIB);
      throw new RangeError("the source broke");
    }
    await expect(bed.objects.putStream(source())).rejects.toThrow(RangeError);
    expect(await bed.messageCount()).toBe(0);
  });

  test("because the stream's limit is reached says so and leaves no chunk", async () => {
    const info = await bed.bus.jsm.streams.info(bed.stream);
    await bed.bus.jsm.streams.update(bed.stream, { ...info.config, max_bytes: 8 * MIB });
    await expect(bed.objects.putBytes(randomBytes(16 * MIB))).rejects.toMatchObject({ code: "disk_full" });
    expect(await bed.messageCount()).toBe(0);
    expect(await bed.objects.putBytes(randomBytes(4 * MIB))).toMatchObject({ existed: false });
  });
});

test("a server that is frozen for a while in the middle of an upload costs that while", async () => {
  const bytes = randomBytes(32 * MIB);
  async function* source() {
    yield bytes.subarray(0, 16 * MIB);
    bed.nats.pause();
    setTimeout(() => bed.nats.resume(), 500);
    yield bytes.subarray(16 * MIB);
  }
  expect(await bed.objects.putStream(source())).toMatchObject({ sha256: sha256(bytes), existed: false });
});

test("a server whose store is full says disk_full", async () => {
  await using small = await objectsBed({ config: "jetstream { max_file_store: 24MB }" });
  await expect(new Objects(small.bus, { patienceMs: 5_000 }).putBytes(randomBytes(32 * MIB))).rejects.toMatchObject({ code: "disk_full" });
});

async function killAndRestart(): Promise<void> {
  await bed.nats.kill("SIGKILL");
  await bed.nats.restart();
}
