import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { CHUNK_BYTES } from "../../broker/contents/chunk-list.js";
import type { ContentStore } from "../../broker/contents/content-store.js";
import { getFolder, putFolder } from "../../broker/contents/folder.js";
import { Stores } from "../../broker/contents/stores.js";
import { tempFolder } from "../support/folder.js";
import { sha256 } from "../support/objects.js";
import { type S3Server, startS3 } from "../support/s3.js";

const SIZE = 2 * CHUNK_BYTES + 7;

let folder: Awaited<ReturnType<typeof tempFolder>>;
let s3: S3Server;
let count = 0;
const openStores = () => new Stores({} as ContentStore);

beforeAll(async () => {
  [folder, s3] = await Promise.all([tempFolder(), startS3()]);
  await mkdir(join(folder.path, "share"));
});

beforeEach(() => {
  count++;
  for (const [name, value] of Object.entries(s3.env)) vi.stubEnv(name, value);
  return () => vi.unstubAllEnvs();
});

afterAll(async () => {
  await s3[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const path = (name: string) => join(folder.path, `${count}-${name}`);

describe.each(["file", "s3"] as const)("a store at %s", (kind) => {
  const urlOf = () => (kind === "file" ? `file://${folder.path}/share` : s3.url("team/a"));

  test("gives back what it was given, small and large, verified", async () => {
    const store = openStores().at(urlOf());
    for (const size of [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, SIZE]) {
      const bytes = randomBytes(size);
      await writeFile(path("in"), bytes);
      const stored = await store.putFile(path("in"));
      expect(stored).toMatchObject({
        sha256: sha256(bytes),
        sizeBytes: size,
        existed: size === 0 && kind === "s3" ? expect.anything() : false,
      });
      expect(await store.info(stored.sha256)).toMatchObject({ sizeBytes: size });
      await openStores().at(urlOf()).getToFile(stored.sha256, path("out"));
      expect(Buffer.compare(await readFile(path("out")), bytes)).toBe(0);
      expect(await store.putFile(path("in"))).toMatchObject({ existed: true });
    }
  });

  test("sends of a file that grew only what is new", async () => {
    const store = openStores().at(urlOf());
    const bytes = randomBytes(SIZE);
    await writeFile(path("in"), bytes.subarray(0, 2 * CHUNK_BYTES));
    await store.putFile(path("in"));
    await writeFile(path("in"), bytes);
    expect(await store.putFile(path("in"))).toMatchObject({ sentBytes: 7 });
  });

  test("does not have what nobody put there", async () => {
    const store = openStores().at(urlOf());
    expect(await store.has("0".repeat(64))).toBe(false);
    await expect(store.getToFile("0".repeat(64), path("out"))).rejects.toMatchObject({ code: "not_found" });
  });

  test("finds out what was damaged, and no file appears", async () => {
    const store = openStores().at(urlOf());
    const small = await store.putBytes(randomBytes(1000));
    const large = await store.putBytes(randomBytes(SIZE));
    const parts = [];
    for await (const part of store.partsOf(large.sha256)) parts.push(part);
    for (const name of [small.sha256, parts.at(-1) as string]) {
      if (kind === "s3") s3.objects.set(`team/a/${name}`, randomBytes(s3.objects.get(`team/a/${name}`)?.length ?? 0));
      else await writeFile(join(folder.path, "share", name.slice(0, 2), name), randomBytes(1000));
    }
    for (const { sha256: name } of [small, large]) {
      await expect(store.getToFile(name, path("out"))).rejects.toMatchObject({ code: "corrupt" });
      await expect(stat(path("out"))).rejects.toThrow();
    }
  });

  test("holds a folder with its names, modes, links and empty folders", async () => {
    const store = openStores().at(urlOf());
    const source = path("data");
    await mkdir(join(source, "sub/empty"), { recursive: true });
    await mkdir(join(source, "ünï"));
    const names = ["a.txt", "sub/b", "ünï/é", "e\u0301", "with space", "back\\slash", "-rf", "..dots", "new\nline"];
    for (const name of names) await writeFile(join(source, name), name);
    await chmod(join(source, "sub/b"), 0o750);
    await symlink("../a.txt", join(source, "sub/inside"));
    await symlink("/etc/passwd", join(source, "outside"));
    await symlink("../../x", join(source, "sub/above"));
    const stored = await putFolder(store, source);
    expect(stored).toMatchObject({ files: names.length });
    expect(stored.leftOut.sort()).toEqual([expect.stringContaining("outside"), expect.stringContaining("sub/above")]);
    expect(await putFolder(store, source)).toEqual(stored);
    await getFolder(store, stored.sha256, { path: path("back") });
    for (const name of names) expect(await readFile(join(path("back"), name), "utf8")).toBe(name);
    expect((await stat(join(path("back"), "sub/b"))).mode & 0o777).toBe(0o750);
    expect(await readlink(join(path("back"), "sub/inside"))).toBe("../a.txt");
    expect((await stat(join(path("back"), "sub/empty"))).isDirectory()).toBe(true);
    await expect(getFolder(store, stored.sha256, { path: path("back") })).rejects.toMatchObject({ code: "invalid_argument" });
    expect((await readdir(folder.path)).filter((name) => name.endsWith(".part"))).toEqual([]);
    await rm(source, { recursive: true });
  });
});

describe("a shared folder", () => {
  test("that is not mounted is told, and nothing is written in its place", async () => {
    const store = openStores().at(`file://${folder.path}/not-mounted`);
    await expect(store.putBytes(Buffer.from("x"))).rejects.toMatchObject({ code: "not_found", fix: [expect.stringContaining("mount it")] });
    await expect(stat(join(folder.path, "not-mounted"))).rejects.toThrow();
  });
});

describe("S3", () => {
  const put = (url: string) => openStores().at(url).putBytes(randomBytes(10));

  test("with a wrong secret says which bucket and key, why, and where credentials are looked for", async () => {
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "not-the-secret");
    const refused = await put(s3.url("team")).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: "permission_denied",
      message: expect.stringMatching(/s3:\/\/models\/team\/[0-9a-f]{64} at http/),
      fix: [expect.stringContaining("~/.aws/credentials")],
    });
    expect(JSON.stringify(refused)).not.toContain("not-the-secret");
  });

  test("with a key that is not known says so", async () => {
    vi.stubEnv("AWS_ACCESS_KEY_ID", "NOBODY");
    await expect(put(s3.url())).rejects.toMatchObject({ code: "permission_denied" });
  });

  test("without such a bucket says so", async () => {
    await expect(put(s3.url().replace("models", "nowhere"))).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining("no such bucket"),
    });
  });

  test("whose clock is another is made up for", async () => {
    s3.clockMs = 3_600_000;
    expect(await put(s3.url())).toMatchObject({ sizeBytes: 10 });
    s3.clockMs = 0;
  });

  test("that is busy for a moment is asked again", async () => {
    s3.busy = 2;
    expect(await put(s3.url())).toMatchObject({ existed: false });
  });

  test("in the middle of an upload that fails keeps what it has, and the next one goes on", async () => {
    const store = openStores().at(s3.url("resumed"));
    await writeFile(path("in"), randomBytes(SIZE));
    const cut = new AbortController();
    const original = s3.objects.set.bind(s3.objects);
    s3.objects.set = (key, value) => (cut.abort(), original(key, value));
    await expect(store.putFile(path("in"), cut.signal)).rejects.toThrow(/abort/);
    s3.objects.set = original;
    const sent = s3.puts.filter((key) => key.startsWith("resumed/")).length;
    expect(sent).toBeGreaterThan(0);
    expect((await store.putFile(path("in"))).sentBytes).toBeLessThan(SIZE);
    expect(s3.puts.length).toBe(new Set(s3.puts).size);
  });

  test("that does not answer can be tried again", async () => {
    const gone = put(s3.url().replace(/127\.0\.0\.1%3A\d+/, "127.0.0.1%3A9"));
    await expect(gone).rejects.toMatchObject({ code: "timeout", retryable: true });
  });
});
