import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tempFolder } from "../../test/support/folder.js";
import { InputCache, tidyInputs } from "./input-cache.js";

const A = "a".repeat(64);
let folder: Awaited<ReturnType<typeof tempFolder>>;
let cache: InputCache;
let fetched: string[];

beforeEach(async () => {
  folder = await tempFolder();
  fetched = [];
  cache = new InputCache({
    dir: join(folder.path, "cache"),
    maxBytes: 1000,
    fetch: async (ref, path, signal) => {
      fetched.push(ref.sha256);
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      if (ref.files === undefined) return writeFile(path, "content", { mode: 0o644 });
      await mkdir(join(path, "sub"), { recursive: true });
      await writeFile(join(path, "sub", "x"), "in a folder");
    },
  });
});

afterEach(() => folder[Symbol.asyncDispose]());

const into = (name: string) => join(folder.path, name);

test("what several want at once is fetched once, and is read-only", async () => {
  await Promise.all(["one", "two", "three"].map((name) => cache.materialize({ sha256: A, sizeBytes: 7 }, into(name))));
  await cache.materialize({ sha256: A, sizeBytes: 7 }, into("four"));
  expect(fetched).toEqual([A]);
  for (const name of ["one", "two", "three", "four"]) {
    expect(await readFile(into(name), "utf8")).toBe("content");
    expect((await stat(into(name))).mode & 0o222).toBe(0);
  }
});

test("a folder comes whole, and its files are read-only", async () => {
  await cache.materialize({ sha256: A, sizeBytes: 11, files: 1 }, into("data"));
  await cache.materialize({ sha256: A, sizeBytes: 11, files: 1 }, into("again"));
  expect(fetched).toEqual([A]);
  expect(await readFile(into("again/sub/x"), "utf8")).toBe("in a folder");
  expect((await stat(into("again/sub/x"))).mode & 0o222).toBe(0);
});

test("one that was changed in the cache is fetched anew", async () => {
  await cache.materialize({ sha256: A, sizeBytes: 7 }, into("one"));
  const kept = join(folder.path, "cache", A);
  await chmod(kept, 0o644);
  await writeFile(kept, "CONTENT");
  await cache.materialize({ sha256: A, sizeBytes: 7 }, into("two"));
  expect(await readFile(into("two"), "utf8")).toBe("content");
  expect(fetched).toHaveLength(2);
});

test("one that is too large for the cache is given all the same", async () => {
  await cache.materialize({ sha256: A, sizeBytes: 2000 }, into("one"));
  expect(await readFile(into("one"), "utf8")).toBe("content");
  expect(await cache.size()).toBe(0);
});

test("one who gives up does not harm the others, and the last one ends the download", async () => {
  const cut = new AbortController();
  const first = cache.materialize({ sha256: A, sizeBytes: 7 }, into("one"), cut.signal);
  const second = cache.materialize({ sha256: A, sizeBytes: 7 }, into("two"), new AbortController().signal);
  cut.abort();
  await second;
  await first.catch(() => undefined);
  expect(await readFile(into("two"), "utf8")).toBe("content");
  const alone = new AbortController();
  const third = cache.materialize({ sha256: "b".repeat(64), sizeBytes: 7 }, into("three"), alone.signal);
  alone.abort();
  await expect(third).rejects.toThrow();
});

test("what is disposed of stays with the tasks that have it, and is fetched again for the next", async () => {
  await cache.materialize({ sha256: A, sizeBytes: 7 }, into("one"));
  expect(await cache.size()).toBe(7);
  for (const idle of await cache.idle()) await idle.dispose();
  expect(await readdir(join(folder.path, "cache"))).toEqual([]);
  expect(await readFile(into("one"), "utf8")).toBe("content");
  await cache.materialize({ sha256: A, sizeBytes: 7 }, into("two"));
  expect(fetched).toHaveLength(2);
});

test("what an earlier run left half fetched is removed, what is whole stays", async () => {
  await cache.materialize({ sha256: A, sizeBytes: 7 }, into("one"));
  await writeFile(join(folder.path, "cache", `${"c".repeat(64)}.x.part`), "half");
  await tidyInputs(join(folder.path, "cache"));
  expect((await readdir(join(folder.path, "cache"))).sort()).toEqual([A, `${A}.json`]);
});

test("a name that is no hash goes nowhere", async () => {
  await expect(cache.materialize({ sha256: "../../etc", sizeBytes: 1 }, into("x"))).rejects.toMatchObject({ code: "invalid_argument" });
});
