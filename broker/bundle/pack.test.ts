import { chmod, mkdir, readdir, readFile, readlink, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { execa } from "execa";
import { unpackTar } from "modern-tar";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { tempFolder } from "../../test/support/folder.js";
import { packBundle, unpackBundle } from "./index.js";

let temp: Awaited<ReturnType<typeof tempFolder>>;
let folder: string;

beforeEach(async () => {
  temp = await tempFolder();
  folder = join(temp.path, "code");
  await mkdir(folder);
});

afterEach(() => temp[Symbol.asyncDispose]());

describe("a folder outside of git", () => {
  test("comes back with its contents, exec bits and links", async () => {
    await put({
      "train.py": "print(1)",
      "bin/run.sh": "#!/bin/sh\n",
      "empty.txt": "",
      [`${"deep/".repeat(60)}${"n".repeat(120)}.txt`]: "long",
    });
    await chmod(join(folder, "bin/run.sh"), 0o700);
    await symlink("../train.py", join(folder, "bin/link.py"));
    const back = await roundTrip();
    expect(await list(back)).toEqual([...(await list(folder))]);
    expect(await readFile(join(back, "train.py"), "utf8")).toBe("print(1)");
    expect((await stat(join(back, "bin/run.sh"))).mode & 0o777).toBe(0o755);
    expect((await stat(join(back, "train.py"))).mode & 0o777).toBe(0o644);
    expect(await readlink(join(back, "bin/link.py"))).toBe("../train.py");
    expect((await stat(join(back, "train.py"))).mtime.getFullYear()).toBeGreaterThan(2000);
  });

  test("packs to the same sha256 whatever the times, the order of making and the place are", async () => {
    await put({ "b.txt": "b", "a/x.txt": "x", "a.txt": "a" });
    const first = await pack();
    await rm(folder, { recursive: true });
    folder = join(temp.path, "elsewhere");
    await mkdir(folder);
    await put({ "a.txt": "a", "b.txt": "b", "a/x.txt": "x" });
    await utimes(join(folder, "a.txt"), 1, 1);
    await chmod(join(folder, "a.txt"), 0o600);
    expect((await pack()).sha256).toBe(first.sha256);
    await chmod(join(folder, "a.txt"), 0o700);
    expect((await pack()).sha256).not.toBe(first.sha256);
  });

  test("packs by name in byte order, without owners and times", async () => {
    await put({ "b.txt": "b", "a/x.txt": "x", "a.txt": "a", "Z.txt": "z", "a-b.txt": "" });
    const headers = (await unpackTar(gunzipSync(await readFile((await pack()).file)))).map((entry) => entry.header);
    expect(headers.map((header) => header.name)).toEqual(["Z.txt", "a-b.txt", "a.txt", "a/x.txt", "b.txt"]);
    for (const header of headers) expect(header).toMatchObject({ mtime: new Date(0), uid: 0, gid: 0, uname: "", gname: "" });
  });

  test("packs hard links as the files they are", async () => {
    await put({ "a.txt": "same", "b.txt": "same" });
    const { sha256 } = await pack();
    await rm(join(folder, "b.txt"));
    await execa("ln", [join(folder, "a.txt"), join(folder, "b.txt")]);
    expect((await pack()).sha256).toBe(sha256);
  });

  test("leaves out node_modules and what .navvyignore names", async () => {
    await put({
      "a.py": "",
      "node_modules/x/index.js": "",
      "data/big.bin": "",
      "data/keep.csv": "",
      "sub/run.ckpt": "",
      ".navvyignore": "data/*\n!data/keep.csv\n*.ckpt\n",
    });
    expect(await list(await roundTrip())).toEqual([".navvyignore", "a.py", "data/keep.csv"]);
    expect((await pack()).origin).toEqual({ folder });
  });

  test("with nothing in it, or that is not there, is refused", async () => {
    await mkdir(join(folder, "empty"));
    await expect(pack()).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(packBundle(join(folder, "none"), { into: temp.path })).rejects.toMatchObject({ code: "not_found" });
  });

  test("over the limit is refused with the limit and the five largest files", async () => {
    await put(Object.fromEntries([1, 2, 3, 4, 5, 6].map((n) => [`file-${n}`, "x".repeat(n * 1000)])));
    const error = await pack({ maxBytes: 20_000 }).catch((caught) => caught);
    expect(error).toMatchObject({ code: "too_large", detail: { totalBytes: 21_000, maxBytes: 20_000 } });
    expect(error.detail.largest.map((file: { path: string }) => file.path)).toEqual(["file-6", "file-5", "file-4", "file-3", "file-2"]);
    expect(error.fix.join()).toContain(".navvyignore");
    expect(await readdir(temp.path)).toEqual(["code"]);
  });

  test.each(["/etc/passwd", "..", "../elsewhere"])("with a link to %s is refused, unless the link is left out", async (target) => {
    await put({ "a.py": "" });
    await symlink(target, join(folder, "secret"));
    await expect(pack()).rejects.toMatchObject({ code: "invalid_argument", detail: { path: "secret" } });
    await put({ ".navvyignore": "/secret\n" });
    expect(await list(await roundTrip())).toEqual([".navvyignore", "a.py"]);
  });

  test("with an absolute link that stays inside packs it relative to itself", async () => {
    await put({ "a.py": "1", "sub/b.py": "" });
    await symlink(join(folder, "a.py"), join(folder, "sub/link.py"));
    expect(await readlink(join(await roundTrip(), "sub/link.py"))).toBe("../a.py");
  });
});

describe("a folder in a git checkout", () => {
  test("packs tracked and new files, not ignored or deleted ones, and says where it comes from", async () => {
    await put({ ".gitignore": "*.log\n", "tracked.py": "1", "gone.py": "1", "sub/inner.py": "1" });
    await commit(folder);
    await put({ "new.py": "1", "x.log": "1" });
    await rm(join(folder, "gone.py"));
    expect(await list(await roundTrip())).toEqual([".gitignore", "new.py", "sub/inner.py", "tracked.py"]);
    const { stdout: head } = await git(folder, "rev-parse", "HEAD");
    expect((await pack()).origin).toEqual({ folder, commit: head, branch: "trunk", dirty: true });
  });

  test("below the checkout's root packs that part only, and is clean when nothing below it differs", async () => {
    await put({ "outer.py": "1", "sub/inner.py": "1" });
    await commit(folder);
    await put({ "outer.py": "2" });
    const packed = await packBundle(join(folder, "sub"), { into: temp.path });
    expect(packed).toMatchObject({ files: 1, origin: { branch: "trunk", dirty: false } });
  });

  test("applies .navvyignore to tracked files too", async () => {
    await put({ "a.py": "1", "data/x.bin": "1", ".navvyignore": "data/\n" });
    await commit(folder);
    expect(await list(await roundTrip())).toEqual([".navvyignore", "a.py"]);
  });

  test("takes a submodule's files by the submodule's own rules, and leaves an absent one out", async () => {
    const library = join(temp.path, "library");
    await put({ "lib.py": "1", ".gitignore": "*.tmp\n" }, library);
    await commit(library);
    await put({ "a.py": "1" });
    await git(folder, "init", "-q", "-b", "trunk");
    await git(folder, "-c", "protocol.file.allow=always", "submodule", "add", "-q", library, "vendor/lib");
    await commit(folder);
    await put({ "vendor/lib/x.tmp": "1" });
    expect(await list(await roundTrip())).toEqual([".gitmodules", "a.py", "vendor/lib/.gitignore", "vendor/lib/lib.py"]);
    await git(folder, "submodule", "deinit", "-q", "-f", "vendor/lib");
    expect((await pack()).files).toBe(2);
  });

  test("that git ignores as a whole is packed as if it were outside", async () => {
    await put({ ".gitignore": "build/\n", "build/out.py": "1" });
    await commit(folder);
    expect(await packBundle(join(folder, "build"), { into: temp.path })).toMatchObject({ files: 1 });
  });

  test("without a commit yet packs what is there", async () => {
    await put({ "a.py": "1" });
    await git(folder, "init", "-q", "-b", "trunk");
    expect((await pack()).origin).toEqual({ folder, branch: "trunk", dirty: true });
  });
});

async function put(files: Record<string, string>, root = folder): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

function pack(options: { maxBytes?: number } = {}) {
  return packBundle(folder, { into: temp.path, ...options });
}

async function roundTrip(): Promise<string> {
  const { file } = await pack();
  const back = join(temp.path, `back-${performance.now()}`);
  await unpackBundle(file, back);
  return back;
}

async function list(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
  return paths.sort();
}

function git(cwd: string, ...args: string[]) {
  return execa("git", ["-c", "user.name=test", "-c", "user.email=test@example.org", ...args], { cwd });
}

async function commit(root: string): Promise<void> {
  await git(root, "init", "-q", "-b", "trunk");
  await git(root, "add", "-A");
  await git(root, "commit", "-q", "-m", "first");
}
