import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tempFolder } from "../../test/support/folder.js";
import { commitAll, git, makeOrigin, PLAIN_GIT, put } from "../../test/support/git.js";
import { type CapturedCheckout, captureCheckout } from "./index.js";

let temp: Awaited<ReturnType<typeof tempFolder>>;
let origin: Awaited<ReturnType<typeof makeOrigin>>;
let count = 0;

beforeEach(async () => {
  temp = await tempFolder();
  origin = await makeOrigin(temp.path, "origin", { "train.py": "print(1)\n", ".gitignore": "data/\n", "old.txt": "line\n".repeat(60) });
});

afterEach(() => temp[Symbol.asyncDispose]());

async function capture(folder = origin.checkout, options: { maxBytes?: number; withDiff?: boolean } = {}): Promise<CapturedCheckout> {
  const into = join(temp.path, `into-${++count}`);
  await mkdir(into);
  return captureCheckout(folder, { into, ...options });
}

/** The tree that a clone of the captured commit has with the patch over it. */
async function treeOf({ git: ref, diffFile }: CapturedCheckout): Promise<string> {
  const clone = join(temp.path, `clone-${++count}`);
  await git(temp.path, "clone", "-q", ref.url, clone);
  await git(clone, "checkout", "-q", "--detach", ref.commit ?? "");
  if (diffFile !== undefined) await git(clone, "apply", "--cached", diffFile);
  return git(clone, "write-tree");
}

/** The tree of the checkout as it lies there, asked of a copy. */
async function treeHere(): Promise<string> {
  const copy = join(temp.path, `copy-${++count}`);
  await execa("cp", ["-a", origin.checkout, copy]);
  await git(copy, "add", "-A");
  return git(copy, "write-tree");
}

test("a clean checkout is its commit, and no diff", async () => {
  const captured = await capture();
  expect(captured).toMatchObject({ git: { url: origin.bare, commit: origin.commit, origin: { branch: "main" } }, directory: "" });
  expect(captured.git.diff).toBeUndefined();
  expect(captured.diffFile).toBeUndefined();
});

test("unpushed commits, staged, changed and new files, binaries, modes, links, renames and deletions come out the same", async () => {
  const head = await commitAll(origin.checkout, { "unpushed.txt": "u\n", "pic.bin": Buffer.from([0, 1, 2, 250]) });
  await put(origin.checkout, {
    "staged.txt": "staged\n",
    "train.py": "print(2)",
    "new/ünï.txt": "new",
    "pic.bin": Buffer.from([0, 255, 3]),
    "blank.bin": Buffer.alloc(5000),
    "data/ignored.bin": "big",
    "crlf.txt": "a\r\nb\r\n",
  });
  await git(origin.checkout, "add", "staged.txt");
  await git(origin.checkout, "mv", "old.txt", "moved.txt");
  await chmod(join(origin.checkout, "train.py"), 0o755);
  await symlink("train.py", join(origin.checkout, "link"));
  const [index, objects] = [await readFile(join(origin.checkout, ".git/index")), await looseObjects()];
  const captured = await capture();
  expect(captured.git).toMatchObject({ commit: origin.commit, origin: { branch: "main", head, files: 9 } });
  expect(captured.git.diff).toMatchObject({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/), sizeBytes: expect.any(Number) });
  expect(await treeOf(captured)).toBe(await treeHere());
  expect(await readFile(join(origin.checkout, ".git/index"))).toEqual(index);
  expect(await looseObjects()).toEqual(objects);
});

async function looseObjects(): Promise<string[]> {
  return (await readdir(join(origin.checkout, ".git/objects"), { recursive: true })).sort();
}

test("a person's taste in diffs does not get into the patch", async () => {
  const taste = {
    "diff.noprefix": "true",
    "diff.mnemonicPrefix": "true",
    "color.ui": "always",
    "diff.external": "false",
    "core.pager": "false",
  };
  for (const [key, value] of Object.entries(taste)) await git(origin.checkout, "config", key, value);
  await put(origin.checkout, { "train.py": "print(3)\n" });
  expect(await treeOf(await capture())).toBe(await treeHere());
});

test("the newest pushed commit is taken behind merges too, and from a detached head", async () => {
  await git(origin.checkout, "checkout", "-q", "-b", "side");
  await commitAll(origin.checkout, { "side.txt": "s" });
  await git(origin.checkout, "checkout", "-q", "main");
  const pushed = await commitAll(origin.checkout, { "b.txt": "b" });
  await git(origin.checkout, "push", "-q");
  await git(origin.checkout, "merge", "-q", "--no-edit", "side");
  await git(origin.checkout, "checkout", "-q", "--detach");
  const captured = await capture();
  expect(captured.git.commit).toBe(pushed);
  expect(captured.git.origin?.branch).toBeUndefined();
  expect(await treeOf(captured)).toBe(await treeHere());
});

test("from a folder below, the whole checkout is captured and the folder named", async () => {
  await commitAll(origin.checkout, { "models/a/net.py": "1", "top.txt": "t" });
  const captured = await capture(join(origin.checkout, "models/a"));
  expect(captured.directory).toBe("models/a");
  expect(captured.git.origin?.files).toBe(2);
});

test("credentials of the remote's URL are left out, and that is said", async () => {
  await git(origin.checkout, "config", "remote.origin.url", "https://me:secret@git.lab/ml/resnet.git");
  const captured = await capture();
  expect(captured.git.url).toBe("https://git.lab/ml/resnet.git");
  expect(captured.remarks).toEqual([expect.stringContaining("carries credentials: left out")]);
  expect(JSON.stringify(captured)).not.toContain("secret");
});

test("what can not be fetched by anyone else is refused, with what to do", async () => {
  const message = async (folder: string, options = {}) =>
    capture(folder, options).then(
      () => "it was not refused",
      (error: Error & { code: string; fix: string[] }) => `${error.code} ${error.message} ${error.fix.join(" ")}`,
    );
  const alone = join(temp.path, "alone");
  await mkdir(alone);
  expect(await message(alone)).toMatch(/invalid_argument folder .* lies in no git checkout .*--code/);
  await git(alone, "init", "-q", "-b", "main");
  expect(await message(alone)).toContain("has no commit yet");
  await commitAll(alone, { a: "a" });
  expect(await message(alone)).toContain("has no remote");
  await git(alone, "remote", "add", "origin", origin.bare);
  expect(await message(alone)).toMatch(/nothing that its remote origin has.*git push -u origin HEAD/);
});

test("a diff over the limit names the largest files, new ones before they are read", async () => {
  await put(origin.checkout, { "weights.bin": Buffer.alloc(3_000_000, 1), "small.txt": "s" });
  await expect(capture(origin.checkout, { maxBytes: 1_000_000 })).rejects.toMatchObject({
    code: "too_large",
    why: expect.stringContaining("weights.bin (2.9 MiB)"),
    fix: expect.arrayContaining(['echo "/weights.bin" >> .gitignore']),
  });
  await git(origin.checkout, "add", "-A");
  await put(origin.checkout, { "weights.bin": randomBytes(2_000_000) });
  await expect(capture(origin.checkout, { maxBytes: 100_000 })).rejects.toMatchObject({
    code: "too_large",
    why: expect.stringContaining("weights.bin"),
  });
  expect((await capture(origin.checkout, { withDiff: false })).remarks.join()).toContain("2 changed files");
});

test("submodules: the pointer goes along, changes inside are told, a commit that is not pushed is refused", async () => {
  const lib = await makeOrigin(temp.path, "lib", { "lib.py": "1" });
  await git(origin.checkout, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib.bare, "lib");
  const captured = await capture();
  expect(captured.git.submodules).toBeUndefined();
  expect(await treeOf(captured)).toBe(await treeHere());
  const inside = join(origin.checkout, "lib");
  await put(inside, { "lib.py": "2" });
  expect((await capture()).remarks).toContainEqual(expect.stringContaining("changes inside the submodule lib do not go along"));
  await commitAll(inside);
  await expect(capture()).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("submodule lib is at a commit"),
  });
  await git(inside, "push", "-q", "origin", "HEAD:main");
  await git(inside, "fetch", "-q");
  expect(await treeOf(await capture())).toBe(await treeHere());
});

test("a checkout inside that is no submodule, and git-lfs, are said aloud", async () => {
  await makeOrigin(origin.checkout, "inner");
  await put(origin.checkout, { ".gitattributes": "*.pt filter=lfs -text\n", "w.pt": "version https://git-lfs.github.com/spec/v1\n" });
  const { remarks, git: ref } = await capture();
  expect(remarks).toContainEqual(expect.stringContaining("inner/ is a checkout of its own"));
  expect(remarks).toContainEqual(expect.stringContaining("1 files are kept by git-lfs"));
  expect(remarks).toContainEqual(expect.stringContaining("w.pt for one"));
  expect(ref.diff).toBeDefined();
});

test("called from a git hook, it captures the folder's checkout and not the hook's", async () => {
  const other = await makeOrigin(temp.path, "other");
  const before = { ...process.env };
  Object.assign(process.env, PLAIN_GIT, { GIT_DIR: join(other.checkout, ".git"), GIT_INDEX_FILE: join(other.checkout, ".git/index") });
  try {
    expect((await capture()).git.commit).toBe(origin.commit);
  } finally {
    process.env = before;
  }
});
