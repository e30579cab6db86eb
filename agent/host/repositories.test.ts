import { chmod, copyFile, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { NavvyError } from "../../protocol/index.js";
import { tempFolder } from "../../test/support/folder.js";
import {
  commitAll,
  git,
  gitsOf,
  makeOrigin,
  PLAIN_GIT,
  put,
  startFolderHttp,
  startGitDaemon,
  startGitHttp,
  startSilentRemote,
} from "../../test/support/git.js";
import { Repositories, type RepositoriesOptions } from "./repositories.js";

let temp: Awaited<ReturnType<typeof tempFolder>>;
let dir: string;
let origin: Awaited<ReturnType<typeof makeOrigin>>;
let lines: string[];
let count = 0;

beforeEach(async () => {
  temp = await tempFolder();
  dir = join(temp.path, "cache");
  origin = await makeOrigin(temp.path);
  lines = [];
});

afterEach(() => temp[Symbol.asyncDispose]());

const log = {
  section: <T>(name: string, act: () => Promise<T>) => (lines.push(`[${name}]`), act()),
  say: async (text: string) => void lines.push(text),
};

function repositories(options: Partial<RepositoriesOptions> = {}) {
  const inherited = { ...process.env, ...PLAIN_GIT, NAVVY_TOKEN: "hidden" };
  const fetch = (sha256: string, file: string) => copyFile(join(temp.path, sha256), file);
  return new Repositories({ dir, maxBytes: 2 ** 30, limitMs: 20_000, inherited, fetch, ...options });
}

function place(): string {
  return join(temp.path, `work-${++count}`);
}

async function refusalOf(acting: Promise<unknown>): Promise<NavvyError> {
  const error = await acting.then(
    () => new Error("it was not refused"),
    (reason: unknown) => reason,
  );
  if (error instanceof NavvyError) return error;
  throw error;
}

test("a checkout is whole, knows its commit, is clean for git wherever it is moved, and needs nothing beside it", async () => {
  await put(origin.checkout, { "bin/run.sh": "#!/bin/sh\n", "ünï côde.txt": "x" });
  await chmod(join(origin.checkout, "bin/run.sh"), 0o755);
  await symlink("../train.py", join(origin.checkout, "bin/link.py"));
  const commit = await commitAll(origin.checkout);
  await git(origin.checkout, "push", "-q");
  const into = place();
  expect(await repositories().materialize({ url: origin.bare, commit }, { into, log })).toBe(commit);
  await rm(dir, { recursive: true });
  await rm(origin.bare, { recursive: true });
  expect(await git(into, "rev-parse", "HEAD")).toBe(commit);
  expect(await git(into, "status", "--porcelain")).toBe("");
  await git(into, "diff-index", "--quiet", "HEAD");
  expect(await git(into, "remote", "get-url", "origin")).toBe(origin.bare);
  expect((await stat(join(into, "bin/run.sh"))).mode & 0o777).toBe(0o755);
  expect(await readlink(join(into, "bin/link.py"))).toBe("../train.py");
  expect(await readFile(join(into, "ünï côde.txt"), "utf8")).toBe("x");
  await git(into, "fsck", "--full");
});

test("a name that is not text survives", async () => {
  const name = Buffer.from([0x61, 0xe9, 0x2e, 0x70, 0x79]);
  await writeFile(Buffer.concat([Buffer.from(`${origin.checkout}/`), name]), "latin");
  const commit = await commitAll(origin.checkout);
  await git(origin.checkout, "push", "-q");
  const into = place();
  await repositories().materialize({ url: origin.bare, commit }, { into, log });
  expect(await readFile(Buffer.concat([Buffer.from(`${into}/`), name]), "utf8")).toBe("latin");
});

test("a commit that is here is taken without a process, a network or a word", async () => {
  const ref = { url: origin.bare, commit: origin.commit };
  await repositories().materialize(ref, { into: place(), log });
  await rm(origin.bare, { recursive: true });
  lines = [];
  const into = place();
  const bin = join(temp.path, "bin");
  await put(bin, { git: "#!/bin/sh\nexit 3\n" });
  await chmod(join(bin, "git"), 0o755);
  await repositories({ inherited: { ...PLAIN_GIT, PATH: bin } }).materialize(ref, { into, log });
  expect(lines).toEqual([]);
  expect(await readFile(join(into, "train.py"), "utf8")).toBe("print(1)\n");
});

test("what one attempt does to its copy reaches neither the cache nor the next one", async () => {
  const all = repositories();
  const ref = { url: origin.bare, commit: origin.commit };
  const [first, second] = [place(), place()];
  await all.materialize(ref, { into: first, log });
  await put(first, { "train.py": "changed" });
  await git(first, "commit", "-qam", "its own");
  await all.materialize(ref, { into: second, log });
  expect(await readFile(join(second, "train.py"), "utf8")).toBe("print(1)\n");
  expect(await git(second, "rev-parse", "HEAD")).toBe(origin.commit);
});

test("many attempts at once fetch once, and later commits bring only what is new", async () => {
  await using daemon = await startGitDaemon(temp.path);
  const url = daemon.url("origin.git");
  const all = repositories();
  await Promise.all(Array.from({ length: 6 }, () => all.materialize({ url, commit: origin.commit }, { into: place(), log })));
  expect(daemon.requests).toHaveLength(1);
  expect(lines.filter((line) => line.includes("waiting for that"))).toHaveLength(5);
  const next = await commitAll(origin.checkout, { "b.txt": "b" });
  await git(origin.checkout, "push", "-q");
  await Promise.all([1, 2].map(() => all.materialize({ url, commit: next }, { into: place(), log })));
  expect(daemon.requests).toHaveLength(2);
});

test("branches, tags, annotated tags, full names and HEAD are looked up; a later attempt keeps the commit of the earlier one", async () => {
  const first = origin.commit;
  await git(origin.checkout, "tag", "-a", "-m", "one", "v1");
  await git(origin.checkout, "branch", "feature/x");
  const second = await commitAll(origin.checkout, { "b.txt": "b" });
  await git(origin.checkout, "push", "-q", "origin", "main", "v1", "feature/x");
  const all = repositories();
  const at = (ref?: string, earlier?: string) =>
    all.materialize({ url: origin.bare, ...(ref === undefined ? {} : { ref }) }, { into: place(), log, earlier });
  expect(await at()).toBe(second);
  expect(await at("main")).toBe(second);
  expect(await at("v1")).toBe(first);
  expect(await at("feature/x")).toBe(first);
  expect(await at("refs/tags/v1")).toBe(first);
  expect(await at("main", first)).toBe(first);
});

test("a diff lies over its commit as staged changes: text, binary, mode, link, rename, deletion", async () => {
  await commitAll(origin.checkout, { "gone.txt": "gone", "old.txt": "the same\n".repeat(50), "pic.bin": Buffer.from([0, 1, 2, 255]) });
  await git(origin.checkout, "push", "-q");
  const commit = await git(origin.checkout, "rev-parse", "HEAD");
  const changed = Buffer.from([0, 9, 9, 9, 255, 0]);
  await put(origin.checkout, { "gone.txt": null, "pic.bin": changed, "train.py": "print(2)\n", "new/deep.txt": "new" });
  await git(origin.checkout, "mv", "old.txt", "moved.txt");
  await chmod(join(origin.checkout, "train.py"), 0o755);
  await symlink("train.py", join(origin.checkout, "link"));
  await git(origin.checkout, "add", "-A");
  await execa("git", ["diff", "--cached", "--binary", "--full-index", "-M", `--output=${join(temp.path, "diff")}`], {
    cwd: origin.checkout,
    env: PLAIN_GIT,
  });
  const into = place();
  await repositories().materialize({ url: origin.bare, commit, diff: { sha256: "diff", sizeBytes: 1 } }, { into, log });
  expect((await readdir(into)).sort()).toEqual([".git", "link", "moved.txt", "new", "pic.bin", "train.py"]);
  expect(await readFile(join(into, "pic.bin"))).toEqual(changed);
  expect((await stat(join(into, "train.py"))).mode & 0o777).toBe(0o755);
  expect(await readlink(join(into, "link"))).toBe("train.py");
  expect(await git(into, "rev-parse", "HEAD")).toBe(commit);
  expect(await git(into, "write-tree")).toBe(await git(origin.checkout, "write-tree"));
});

test("submodules are fetched too, also those of submodules; a relative URL counts from the parent's", async () => {
  const lib = await makeOrigin(temp.path, "lib", { "lib.py": "x" });
  const deep = await makeOrigin(temp.path, "deep", { "deep.py": "y" });
  const allow = ["-c", "protocol.file.allow=always"];
  await git(lib.checkout, ...allow, "submodule", "--quiet", "add", "../deep.git", "deep");
  await commitAll(lib.checkout);
  await git(lib.checkout, "push", "-q");
  await git(origin.checkout, ...allow, "submodule", "--quiet", "add", lib.bare, "third party/lib");
  const commit = await commitAll(origin.checkout);
  await git(origin.checkout, "push", "-q");
  const config = join(temp.path, "gitconfig");
  await writeFile(config, '[protocol "file"]\n\tallow = always\n');
  const all = repositories({ inherited: { ...process.env, ...PLAIN_GIT, GIT_CONFIG_GLOBAL: config } });
  const [into, without] = [place(), place()];
  await all.materialize({ url: origin.bare, commit }, { into, log });
  expect(await readFile(join(into, "third party/lib/lib.py"), "utf8")).toBe("x");
  expect(await readFile(join(into, "third party/lib/deep/deep.py"), "utf8")).toBe("y");
  expect(await git(into, "status", "--porcelain")).toBe("");
  expect(await git(join(into, "third party/lib"), "rev-parse", "HEAD")).toBe(await git(lib.checkout, "rev-parse", "HEAD"));
  await all.materialize({ url: origin.bare, commit, submodules: false }, { into: without, log });
  expect(await readdir(join(without, "third party/lib"))).toEqual([]);
  const strict = await refusalOf(repositories({ dir: `${dir}-2` }).materialize({ url: origin.bare, commit }, { into: place(), log }));
  expect(strict).toMatchObject({ code: "setup_failed", message: expect.stringContaining("transport 'file' not allowed") });
  expect(deep.commit).toHaveLength(40);
});

test("git-lfs pointers without git-lfs are told each time", async () => {
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
  const commit = await commitAll(origin.checkout, { ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "a/w.bin": pointer });
  await git(origin.checkout, "push", "-q");
  const all = repositories();
  for (let i = 0; i < 2; i++) {
    lines = [];
    await all.materialize({ url: origin.bare, commit }, { into: place(), log });
    expect(lines).toContainEqual(expect.stringMatching(/1 files, a\/w\.bin for one, are git-lfs pointers/));
  }
});

test("a remote that gives no single commits is fetched whole, also when it is a plain folder behind HTTP", async () => {
  const first = origin.commit;
  await commitAll(origin.checkout, { "b.txt": "b" });
  await git(origin.checkout, "push", "-q");
  await using daemon = await startGitDaemon(temp.path);
  const url = daemon.url("origin.git");
  const old = { ...process.env, ...PLAIN_GIT, GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "protocol.version", GIT_CONFIG_VALUE_0: "0" };
  const into = place();
  await repositories({ inherited: old }).materialize({ url, commit: first }, { into, log });
  expect(await git(into, "rev-parse", "HEAD")).toBe(first);
  expect(lines).toContainEqual(expect.stringContaining("fetching all of it"));
  await git(origin.bare, "update-server-info");
  await using plain = await startFolderHttp(temp.path);
  const other = place();
  await repositories({ dir: `${dir}-2` }).materialize({ url: `${plain.origin}/origin.git`, commit: first }, { into: other, log });
  expect(await git(other, "rev-parse", "HEAD")).toBe(first);
});

test("each refusal names the remote and quotes git: no repository, no branch, no commit, a diff that does not apply", async () => {
  const all = repositories();
  const to = (ref: Parameters<Repositories["materialize"]>[0]) => refusalOf(all.materialize(ref, { into: place(), log }));
  const none = join(temp.path, "none.git");
  expect(await to({ url: none })).toMatchObject({
    code: "setup_failed",
    why: expect.stringContaining("does not appear to be a git repository"),
  });
  const branch = await to({ url: origin.bare, ref: "mian" });
  expect(branch).toMatchObject({ code: "setup_failed", message: expect.stringMatching(/origin\.git has no branch or tag "mian"/) });
  const commit = "0123456789".repeat(4);
  const missing = await to({ url: origin.bare, commit });
  expect(missing).toMatchObject({ code: "setup_failed", message: expect.stringContaining(`has no commit ${commit}`) });
  expect(missing.fix[0]).toContain("git push");
  await put(temp.path, { diff: "diff --git a/nope b/nope\n--- a/nope\n+++ b/nope\n@@ -1 +1 @@\n-x\n+y\n" });
  const apply = await to({ url: origin.bare, commit: origin.commit, diff: { sha256: "diff", sizeBytes: 1 } });
  expect(apply).toMatchObject({ code: "setup_failed", why: expect.stringContaining("nope: does not exist in index") });
  const down = await to({ url: "git://127.0.0.1:1/x.git", commit });
  expect(down).toMatchObject({ code: "setup_failed", why: expect.stringContaining("Connection refused") });
  expect((await readdir(dir)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test("a remote that wants a login is not waited for; the host's stored login is used and told nowhere", async () => {
  await using http = await startGitHttp(temp.path);
  const url = `http://${http.origin}/origin.git`;
  const ref = { url, commit: origin.commit };
  const refused = await refusalOf(repositories().materialize(ref, { into: place(), log }));
  expect(refused).toMatchObject({ code: "setup_failed", why: expect.stringContaining("terminal prompts disabled") });
  expect(refused.fix.join("\n")).toContain(`git ls-remote ${url}`);
  const config = join(temp.path, "gitconfig");
  await writeFile(config, `[url "http://me:wrong@${http.origin}/"]\n\tinsteadOf = http://${http.origin}/\n`);
  const inherited = { ...process.env, ...PLAIN_GIT, GIT_CONFIG_GLOBAL: config };
  const wrong = await refusalOf(repositories({ inherited }).materialize(ref, { into: place(), log }));
  expect(JSON.stringify([wrong.message, wrong.why, wrong.fix, lines])).not.toContain("wrong");
  await writeFile(config, `[url "http://me:secret@${http.origin}/"]\n\tinsteadOf = http://${http.origin}/\n`);
  await repositories({ inherited }).materialize(ref, { into: place(), log });
  expect(lines.join("\n")).not.toContain("secret");
  const inUrl = await refusalOf(repositories().materialize({ url: `http://me:secret@${http.origin}/origin.git` }, { into: place(), log }));
  expect(JSON.stringify([inUrl.message, inUrl.fix])).not.toContain("secret");
});

test("a git that is missing and one that hangs are told as such, and nothing of them stays", async () => {
  await using silent = await startSilentRemote();
  const bin = join(temp.path, "bin");
  await mkdir(bin);
  const none = await refusalOf(repositories({ inherited: { PATH: bin } }).materialize({ url: origin.bare }, { into: place(), log }));
  expect(none).toMatchObject({ code: "setup_failed", fix: expect.arrayContaining(["sudo apt-get install -y git"]) });
  const late = await refusalOf(repositories({ limitMs: 400 }).materialize({ url: silent.url }, { into: place(), log }));
  expect(late).toMatchObject({ code: "setup_failed", message: expect.stringContaining("git ls-remote did not end within 0.4 s") });
  expect(await gitsOf(dir)).toEqual([]);
});

test("who is cut leaves at once and the others get theirs; when the last is cut, git is ended", async () => {
  await using silent = await startSilentRemote();
  const all = repositories();
  const [first, second] = [new AbortController(), new AbortController()];
  const ref = { url: silent.url, commit: origin.commit };
  const ends = [first, second].map(({ signal }) =>
    all.materialize(ref, { into: place(), log, signal }).catch((error: Error) => error.message),
  );
  await expect.poll(() => silent.hasVisitor()).toBe(true);
  first.abort(new Error("cut one"));
  expect(await ends[0]).toBe("cut one");
  expect(await gitsOf(dir)).not.toEqual([]);
  second.abort(new Error("cut two"));
  expect(await ends[1]).toBe("cut two");
  await expect.poll(() => gitsOf(dir)).toEqual([]);
  await all.materialize({ url: origin.bare, commit: origin.commit }, { into: place(), log });
});

test("a mirror that is damaged is made anew, once; locks that a crash left are nobody's", async () => {
  const ref = { url: origin.bare, commit: origin.commit };
  await repositories().materialize(ref, { into: place(), log });
  const mirror = join(dir, (await readdir(dir)).find((name) => name.endsWith(".git")) ?? "");
  await put(mirror, { "shallow.lock": "", "packed-refs.lock": "", [`refs/navvy/${origin.commit}.lock`]: "" });
  const next = await commitAll(origin.checkout, { "b.txt": "b" });
  await git(origin.checkout, "push", "-q");
  await repositories().materialize({ ...ref, commit: next }, { into: place(), log });
  expect(lines.join("\n")).not.toContain("damaged");
  const blob = await git(mirror, "rev-parse", `${origin.commit}:train.py`);
  const packs = join(mirror, "objects", "pack");
  for (const name of (await readdir(packs)).filter((each) => each.endsWith(".pack"))) {
    await rename(join(packs, name), join(temp.path, name));
    await execa("git", ["unpack-objects", "-q"], { cwd: mirror, env: PLAIN_GIT, inputFile: join(temp.path, name) });
  }
  await rm(join(mirror, "objects", blob.slice(0, 2), blob.slice(2)));
  const third = await commitAll(origin.checkout, { "c.txt": "c" });
  await git(origin.checkout, "push", "-q");
  await repositories().materialize({ ...ref, commit: third }, { into: place(), log });
  expect(lines.filter((line) => line.includes("damaged"))).toHaveLength(1);
  await writeFile(join(mirror, "config"), "[[[");
  const fourth = await commitAll(origin.checkout, { "d.txt": "d" });
  await git(origin.checkout, "push", "-q");
  const into = place();
  await repositories().materialize({ ...ref, commit: fourth }, { into, log });
  expect(lines.filter((line) => line.includes("damaged"))).toHaveLength(2);
  expect(await git(into, "rev-parse", "HEAD")).toBe(fourth);
});

test("the cache stays under its size: the least recently used go, and who has a copy keeps it", async () => {
  const big = await makeOrigin(temp.path, "big", { "big.bin": Buffer.alloc(300_000, 7) });
  const all = repositories({ maxBytes: 500_000 });
  const [first, second] = [place(), place()];
  await all.materialize({ url: origin.bare, commit: origin.commit }, { into: first, log });
  await all.materialize({ url: big.bare, commit: big.commit }, { into: second, log });
  const third = await commitAll(big.checkout, { "big.bin": Buffer.alloc(300_000, 8) });
  await git(big.checkout, "push", "-q");
  await all.materialize({ url: big.bare, commit: third }, { into: place(), log });
  expect((await readdir(dir)).length).toBeLessThan(4);
  expect(await git(first, "status", "--porcelain")).toBe("");
  expect(await git(second, "status", "--porcelain")).toBe("");
});
