import { chmod, copyFile, lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type PackedBundle, packBundle } from "../../broker/bundle/index.js";
import { tempFolder } from "../../test/support/folder.js";
import { BundleCache } from "./bundle-cache.js";

let temp: Awaited<ReturnType<typeof tempFolder>>;
let packed: PackedBundle;
let dir: string;
let fetches: string[];

beforeEach(async () => {
  temp = await tempFolder();
  dir = join(temp.path, "cache");
  fetches = [];
  const code = join(temp.path, "code");
  await mkdir(join(code, "bin"), { recursive: true });
  await writeFile(join(code, "train.py"), "print(1)");
  await writeFile(join(code, "bin/run.sh"), "#!/bin/sh\n");
  await chmod(join(code, "bin/run.sh"), 0o755);
  await symlink("../train.py", join(code, "bin/link.py"));
  packed = await packBundle(code, { into: temp.path });
});

afterEach(() => temp[Symbol.asyncDispose]());

test("a bundle arrives whole: contents, exec bits and links, and can be written to", async () => {
  const into = join(temp.path, "work");
  await cache().materialize(ref(), into);
  expect(await readFile(join(into, "train.py"), "utf8")).toBe("print(1)");
  expect((await stat(join(into, "bin/run.sh"))).mode & 0o777).toBe(0o755);
  expect((await stat(join(into, "train.py"))).mode & 0o777).toBe(0o644);
  expect(await readlink(join(into, "bin/link.py"))).toBe("../train.py");
});

test("what one attempt does to its copy reaches neither the cache nor the next attempt", async () => {
  const bundles = cache();
  await bundles.materialize(ref(), join(temp.path, "first"));
  await writeFile(join(temp.path, "first/train.py"), "changed");
  await bundles.materialize(ref(), join(temp.path, "second"));
  expect(await readFile(join(temp.path, "second/train.py"), "utf8")).toBe("print(1)");
  expect((await lstat(join(dir, packed.sha256, "train.py"))).mode & 0o222).toBe(0);
});

test("many attempts at once, and later ones of another process, fetch it once", async () => {
  const bundles = cache();
  await Promise.all(Array.from({ length: 8 }, (_, i) => bundles.materialize(ref(), join(temp.path, `work-${i}`))));
  await cache().materialize(ref(), join(temp.path, "later"));
  expect(fetches).toEqual([packed.sha256]);
  expect(await readFile(join(temp.path, "work-7/train.py"), "utf8")).toBe("print(1)");
});

test("a fetch that fails leaves nothing, and the next attempt tries anew", async () => {
  let isBroken = true;
  const bundles = cache(async (file) => {
    await copyFile(packed.file, file);
    if (isBroken) throw new Error("the line broke");
  });
  await expect(bundles.materialize(ref(), join(temp.path, "work"))).rejects.toThrow("the line broke");
  expect(await readdir(dir)).toEqual([]);
  isBroken = false;
  await bundles.materialize(ref(), join(temp.path, "work"));
  expect(fetches).toHaveLength(2);
});

test("what a crash left half unpacked is removed at the first use", async () => {
  await mkdir(join(dir, "half.tmp/content"), { recursive: true });
  await cache().materialize(ref(), join(temp.path, "work"));
  expect(await readdir(dir)).toEqual([packed.sha256]);
});

test("a name that is no sha256 is refused before anything is touched", async () => {
  await expect(cache().materialize({ bundle: "../outside", sizeBytes: 1 }, join(temp.path, "work"))).rejects.toMatchObject({
    code: "invalid_argument",
  });
  expect(fetches).toEqual([]);
});

function ref() {
  return { bundle: packed.sha256, sizeBytes: packed.sizeBytes };
}

function cache(bring: (file: string) => Promise<void> = (file) => copyFile(packed.file, file)): BundleCache {
  return new BundleCache({
    dir,
    fetch: async (sha256, file) => {
      fetches.push(sha256);
      await bring(file);
    },
  });
}
