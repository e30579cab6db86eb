import { randomBytes } from "node:crypto";
import { appendFile, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CHUNK_BYTES, listName } from "../../broker/contents/chunk-list.js";
import { MIB, type ObjectsBed, objectsBed, sha256 } from "../support/objects.js";

const SIZE = 21 * MIB + 5;

let bed: ObjectsBed;
let file: string;
let bytes: Buffer;

beforeAll(async () => {
  bed = await objectsBed();
});

beforeEach(async () => {
  file = join(bed.folder, "checkpoint");
  bytes = randomBytes(SIZE);
  await writeFile(file, bytes);
});

afterAll(() => bed[Symbol.asyncDispose]());

describe("a large file", () => {
  test("comes back as it was put, under the hash of its content", async () => {
    const stored = await bed.objects.putFile(file);
    expect(stored).toEqual({ sha256: sha256(bytes), sizeBytes: SIZE, existed: false, sentBytes: SIZE });
    expect(await bed.objects.info(stored.sha256)).toMatchObject({ sizeBytes: SIZE, chunks: 6 });
    await bed.objects.getToFile(stored.sha256, `${file}.back`);
    expect(Buffer.compare(await readFile(`${file}.back`), bytes)).toBe(0);
  });

  test("that is there already sends nothing", async () => {
    const first = await bed.objects.putFile(file);
    const before = await bed.messageCount();
    expect(await bed.objects.putFile(file)).toEqual({ ...first, existed: true, sentBytes: 0 });
    expect(await bed.messageCount()).toBe(before);
  });

  test("of which a part is there sends the rest", async () => {
    await bed.objects.putFile(file);
    const more = randomBytes(CHUNK_BYTES);
    await appendFile(file, more);
    const whole = Buffer.concat([bytes, more]);
    const stored = await bed.objects.putFile(file);
    expect(stored).toMatchObject({ sha256: sha256(whole), existed: false, sentBytes: (SIZE % CHUNK_BYTES) + CHUNK_BYTES });
    await bed.objects.getToFile(stored.sha256, `${file}.back`);
    expect(Buffer.compare(await readFile(`${file}.back`), whole)).toBe(0);
  });

  test("of equal chunks stores one of them", async () => {
    await writeFile(file, Buffer.alloc(8 * CHUNK_BYTES));
    expect(await bed.objects.putFile(file)).toMatchObject({ sha256: sha256(Buffer.alloc(8 * CHUNK_BYTES)), sentBytes: CHUNK_BYTES });
  });

  test("put by several at the same time is there once", async () => {
    const before = await bed.messageCount();
    const results = await Promise.all([1, 2, 3].map(() => bed.objects.putFile(file)));
    for (const { sha256: name } of results) expect(name).toBe(sha256(bytes));
    const parts = [];
    for await (const part of bed.objects.partsOf(sha256(bytes))) parts.push(part);
    expect(parts).toHaveLength(8);
    const names = await stored();
    expect(parts.filter((part) => !names.includes(part))).toEqual([]);
    expect((await bed.messageCount()) - before).toBe(8 + 43 + 2); // metas, pieces of 512 KiB, the list and what knows it
  });
});

describe("an upload that was cut short", () => {
  test("is not there, and goes on where it was", async () => {
    const cut = new AbortController();
    const watching = bed.nc.subscribe(`$O.${bed.bus.assets.objects.name}.M.>`, { callback: () => cut.abort(), max: 2 });
    await expect(bed.objects.putFile(file, cut.signal)).rejects.toThrow(/abort/);
    watching.unsubscribe();
    expect(await bed.objects.has(sha256(bytes))).toBe(false);
    const resumed = await bed.objects.putFile(file);
    expect(resumed).toMatchObject({ sha256: sha256(bytes), existed: false });
    expect(resumed.sentBytes).toBeLessThan(SIZE);
    expect(resumed.sentBytes).toBeGreaterThan(0);
    await bed.objects.getToFile(resumed.sha256, `${file}.back`);
    expect(Buffer.compare(await readFile(`${file}.back`), bytes)).toBe(0);
  });

  test("because there was no room leaves none of its chunks in the way of others", async () => {
    const [info, before] = [await bed.bus.jsm.streams.info(bed.stream), await bed.messageCount()];
    await bed.bus.jsm.streams.update(bed.stream, { ...info.config, max_bytes: info.state.bytes + 14 * MIB });
    await expect(bed.objects.putFile(file)).rejects.toMatchObject({ code: "disk_full" });
    await bed.bus.jsm.streams.update(bed.stream, info.config);
    expect(await bed.messageCount()).toBe(before);
  });
});

describe("a chunk", () => {
  test("that was damaged makes the content corrupt, and says which", async () => {
    const { sha256: name } = await bed.objects.putFile(file);
    const third = sha256(bytes.subarray(2 * CHUNK_BYTES, 3 * CHUNK_BYTES));
    const subject = await bed.chunkSubject(third);
    await bed.bus.jsm.streams.purge(bed.stream, { filter: subject });
    for (let i = 0; i < 8; i++) await bed.bus.js.publish(subject, randomBytes(MIB / 2));
    await expect(bed.objects.getToFile(name, `${file}.back`)).rejects.toMatchObject({
      code: "corrupt",
      why: expect.stringContaining("chunk 3 of 6"),
    });
  });

  test("that is lost makes the content corrupt, and putting it again mends it", async () => {
    const { sha256: name } = await bed.objects.putFile(file);
    await bed.objects.delete(sha256(bytes.subarray(0, CHUNK_BYTES)));
    await expect(bed.objects.getToFile(name, `${file}.back`)).rejects.toMatchObject({ code: "corrupt" });
    expect(await bed.objects.putFile(file)).toMatchObject({ sentBytes: CHUNK_BYTES });
    await bed.objects.getToFile(name, `${file}.back`);
  });

  test("list of another content is found out", async () => {
    const { sha256: name } = await bed.objects.putFile(file);
    const other = randomBytes(SIZE);
    await writeFile(file, other);
    await bed.objects.putFile(file);
    const [meta, wrong] = [listName(name), listName(sha256(other))];
    const store = await bed.bus.js.views.os(bed.bus.assets.objects.name);
    const text = Buffer.from((await store.getBlob(wrong)) ?? "").toString();
    await bed.objects.delete(meta);
    await store.putBlob({ name: meta }, Buffer.from(text.replace(sha256(other), name)));
    await expect(bed.objects.getToFile(name, `${file}.back`)).rejects.toMatchObject({ code: "corrupt" });
  });
});

describe("a file that changes while it is read", () => {
  test("and then stops is stored as it is in the end", async () => {
    const handle = await open(file, "r+");
    const watching = bed.nc.subscribe(`$O.${bed.bus.assets.objects.name}.M.>`, {
      max: 1,
      callback: () => void handle.write(randomBytes(1), 0, 1, 0),
    });
    const stored = await bed.objects.putFile(file);
    await handle.close();
    watching.unsubscribe();
    expect(stored.sha256).toBe(sha256(await readFile(file)));
    expect(stored.sha256).not.toBe(sha256(bytes));
    expect(await bed.objects.has(sha256(bytes))).toBe(false);
  });

  test.each([SIZE, 3 * MIB])(
    "all the time is told, and nothing of it is there as content (%i bytes)",
    { timeout: 30_000 },
    async (size) => {
      await writeFile(file, randomBytes(size));
      const before = await stored();
      const handle = await open(file, "r+");
      const writing = setInterval(() => void handle.write(randomBytes(1), 0, 1, 0), 1);
      await expect(bed.objects.putFile(file)).rejects.toMatchObject({
        code: "conflict",
        message: expect.stringContaining("changed while it was read"),
      });
      clearInterval(writing);
      await handle.close();
      expect((await stored()).filter((name) => !before.includes(name) && (name.endsWith(".chunks") || size <= CHUNK_BYTES))).toEqual([]);
    },
  );
});

async function stored(): Promise<string[]> {
  const store = await bed.bus.js.views.os(bed.bus.assets.objects.name);
  return (await store.list()).map(({ name }) => name);
}
