import { createHash, randomBytes } from "node:crypto";
import { open, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MIB, type ObjectsBed, objectsBed, pieces, sha256 } from "../support/objects.js";

const CHUNK = 512 * 1024;
/** Set NAVVY_TEST_BIG=1 for a file of 1 GB. */
const LARGE_BYTES = (process.env.NAVVY_TEST_BIG ? 1024 : 256) * MIB;

let bed: ObjectsBed;

beforeEach(async () => {
  bed = await objectsBed();
});

afterEach(() => bed[Symbol.asyncDispose]());

describe("content", () => {
  test.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])("of %i bytes comes back as it was put", async (size) => {
    const bytes = randomBytes(size);
    expect(await bed.objects.putBytes(bytes)).toEqual({ sha256: sha256(bytes), sizeBytes: size, existed: false });
    expect(Buffer.compare(await bed.objects.getBytes(sha256(bytes)), bytes)).toBe(0);
  });

  test("from a stream whose pieces fit no chunk comes back as it was put", async () => {
    const bytes = randomBytes(5 * MIB + 3);
    const { sha256: name } = await bed.objects.putStream(pieces(bytes, 70_001));
    expect(sha256(await bed.objects.getBytes(name))).toBe(sha256(bytes));
    expect(await bed.objects.info(name)).toMatchObject({ sizeBytes: bytes.length, chunks: 11 });
  });

  test("that is there already is not sent again", async () => {
    const file = join(bed.folder, "model.pt");
    await writeFile(file, randomBytes(2 * MIB));
    const first = await bed.objects.putFile(file);
    const before = await bed.messageCount();
    expect(await bed.objects.putFile(file)).toEqual({ ...first, existed: true });
    expect(await bed.objects.putBytes(await readFile(file))).toEqual({ ...first, existed: true });
    expect(await bed.messageCount()).toBe(before);
  });

  test("that turns out to be there only after it was sent leaves one copy", async () => {
    const bytes = randomBytes(2 * MIB);
    const first = await bed.objects.putStream(pieces(bytes, MIB));
    expect(await bed.objects.putStream(pieces(bytes, MIB))).toEqual({ ...first, existed: true });
    expect(await bed.messageCount()).toBe(5);
  });

  test("put by several at the same time is stored once", async () => {
    const bytes = randomBytes(2 * MIB);
    const results = await Promise.all(Array.from({ length: 5 }, () => bed.objects.putStream(pieces(bytes, MIB))));
    expect(results.filter((result) => !result.existed)).toHaveLength(1);
    expect(await bed.messageCount()).toBe(5);
    expect(sha256(await bed.objects.getBytes(sha256(bytes)))).toBe(sha256(bytes));
  });

  test("that was deleted is gone, leaves nothing behind and can be put anew", async () => {
    const bytes = randomBytes(MIB);
    const { sha256: name } = await bed.objects.putBytes(bytes);
    expect(await bed.objects.delete(name)).toBe(true);
    expect(await bed.objects.delete(name)).toBe(false);
    expect(await bed.objects.has(name)).toBe(false);
    expect(await bed.messageCount()).toBe(0);
    expect(await bed.objects.putBytes(bytes)).toMatchObject({ existed: false });
    expect(await bed.objects.has(name)).toBe(true);
  });

  test("too large for memory is refused before it is read", async () => {
    const { sha256: name } = await bed.objects.putBytes(randomBytes(1000));
    await expect(bed.objects.getBytes(name, { maxBytes: 999 })).rejects.toMatchObject({ code: "too_large" });
  });

  test("that nobody stored is not found, and a name that is no sha256 is refused", async () => {
    await expect(bed.objects.getBytes("0".repeat(64))).rejects.toMatchObject({ code: "not_found" });
    await expect(bed.objects.has("model.pt")).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(bed.objects.putFile(join(bed.folder, "none"))).rejects.toMatchObject({ code: "not_found" });
    await expect(bed.objects.putFile(bed.folder)).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

describe("the official client", () => {
  test("reads what we put, and lists it", async () => {
    const bytes = randomBytes(3 * MIB + 7);
    const { sha256: name } = await bed.objects.putBytes(bytes);
    const store = await bed.bus.js.views.os(bed.bus.assets.objects.name);
    expect(sha256((await store.getBlob(name)) ?? Buffer.alloc(0))).toBe(name);
    expect(await store.list()).toMatchObject([{ name, size: bytes.length, chunks: 7, deleted: false }]);
  });

  test("puts what we read, and deletes what we then no longer find", async () => {
    const bytes = randomBytes(3 * MIB + 7);
    const name = sha256(bytes);
    const store = await bed.bus.js.views.os(bed.bus.assets.objects.name);
    await store.putBlob({ name }, bytes);
    expect(sha256(await bed.objects.getBytes(name))).toBe(name);
    await store.delete(name);
    expect(await bed.objects.has(name)).toBe(false);
    await bed.objects.putBytes(bytes);
    expect(sha256((await store.getBlob(name)) ?? Buffer.alloc(0))).toBe(name);
  });
});

test("a large file goes in and out with flat memory", { timeout: 180_000 }, async () => {
  const file = join(bed.folder, "large");
  const name = await writeLarge(file);
  const memory = watchMemory();
  expect(await bed.objects.putFile(file)).toMatchObject({ sha256: name, sizeBytes: LARGE_BYTES, existed: false });
  await bed.objects.getToFile(name, `${file}.back`);
  expect(memory.growthBytes()).toBeLessThan(150 * MIB);
  expect((await stat(`${file}.back`)).size).toBe(LARGE_BYTES);
});

test("a slow reader holds the download up and not the memory", async () => {
  const { sha256: name } = await bed.objects.putBytes(randomBytes(32 * MIB));
  const reader = bed.objects.get(name);
  await reader.next();
  const received = bed.nc.stats().inBytes;
  await bed.nc.flush();
  expect(bed.nc.stats().inBytes - received).toBeLessThan(8 * MIB);
  await reader.return();
});

async function writeLarge(file: string): Promise<string> {
  const block = randomBytes(MIB);
  const hash = createHash("sha256");
  const handle = await open(file, "w");
  for (let i = 0; i < LARGE_BYTES / MIB; i++) {
    block.writeUInt32LE(i);
    hash.update(block);
    await handle.write(block);
  }
  await handle.close();
  return hash.digest("hex");
}

function watchMemory(): { growthBytes(): number } {
  const start = process.memoryUsage.rss();
  let highest = start;
  const timer = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage.rss());
  }, 20);
  return {
    growthBytes: () => {
      clearInterval(timer);
      return highest - start;
    },
  };
}
