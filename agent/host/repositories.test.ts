import { chmod, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { commitAll, git, makeOrigin, PLAIN_GIT, put, startGitDaemon } from "../../test/support/git.js";
import { type RepositoriesHome, refusalOf, repositoriesHome } from "../../test/support/repositories.js";

let home: RepositoriesHome;

beforeEach(async () => {
  home = await repositoriesHome();
});

afterEach(() => home[Symbol.asyncDispose]());

test("a checkout is whole, knows its commit, is clean for git wherever it is moved, and needs nothing beside it", async () => {
  await put(home.origin.checkout, { "bin/run.sh": "#!/bin/sh\n", "ünï côde.txt": "x" });
  await chmod(join(home.origin.checkout, "bin/run.sh"), 0o755);
  await symlink("../train.py", join(home.origin.checkout, "bin/link.py"));
  const commit = await commitAll(home.origin.checkout);
  await git(home.origin.checkout, "push", "-q");
  const into = home.place();
  expect(await home.repositories().materialize({ url: home.origin.bare, commit }, { into, log: home.log })).toBe(commit);
  await rm(home.dir, { recursive: true });
  await rm(home.origin.bare, { recursive: true });
  expect(await git(into, "rev-parse", "HEAD")).toBe(commit);
  await git(into, "diff-index", "--quiet", "HEAD"); // before anything refreshes the index
  expect(await git(into, "status", "--porcelain")).toBe("");
  expect(await git(into, "remote", "get-url", "origin")).toBe(home.origin.bare);
  expect((await stat(join(into, "bin/run.sh"))).mode & 0o777).toBe(0o755);
  expect(await readlink(join(into, "bin/link.py"))).toBe("../train.py");
  expect(await readFile(join(into, "ünï côde.txt"), "utf8")).toBe("x");
  await git(into, "fsck", "--full");
});

test("a name that is not text survives", async () => {
  const name = Buffer.from([0x61, 0xe9, 0x2e, 0x70, 0x79]);
  await writeFile(Buffer.concat([Buffer.from(`${home.origin.checkout}/`), name]), "latin");
  const commit = await commitAll(home.origin.checkout);
  await git(home.origin.checkout, "push", "-q");
  const into = home.place();
  await home.repositories().materialize({ url: home.origin.bare, commit }, { into, log: home.log });
  expect(await readFile(Buffer.concat([Buffer.from(`${into}/`), name]), "utf8")).toBe("latin");
});

test("a commit that is here is taken without a process, a network or a word", async () => {
  const ref = { url: home.origin.bare, commit: home.origin.commit };
  await home.repositories().materialize(ref, { into: home.place(), log: home.log });
  await rm(home.origin.bare, { recursive: true });
  home.lines.length = 0;
  const into = home.place();
  const bin = join(home.path, "bin");
  await put(bin, { git: "#!/bin/sh\nexit 3\n" });
  await chmod(join(bin, "git"), 0o755);
  await home.repositories({ inherited: { ...PLAIN_GIT, PATH: bin } }).materialize(ref, { into, log: home.log });
  expect(home.lines).toEqual([]);
  expect(await readFile(join(into, "train.py"), "utf8")).toBe("print(1)\n");
});

test("what one attempt does to its copy reaches neither the cache nor the next one", async () => {
  const all = home.repositories();
  const ref = { url: home.origin.bare, commit: home.origin.commit };
  const [first, second] = [home.place(), home.place()];
  await all.materialize(ref, { into: first, log: home.log });
  await put(first, { "train.py": "changed" });
  await git(first, "commit", "-qam", "its own");
  await all.materialize(ref, { into: second, log: home.log });
  expect(await readFile(join(second, "train.py"), "utf8")).toBe("print(1)\n");
  expect(await git(second, "rev-parse", "HEAD")).toBe(home.origin.commit);
});

test("many attempts at once fetch once, and later commits bring only what is new", async () => {
  await using daemon = await startGitDaemon(home.path);
  const url = daemon.url("origin.git");
  const all = home.repositories();
  await Promise.all(
    Array.from({ length: 6 }, () => all.materialize({ url, commit: home.origin.commit }, { into: home.place(), log: home.log })),
  );
  expect(daemon.requests).toHaveLength(1);
  expect(home.lines.filter((line) => line.includes("waiting for that"))).toHaveLength(5);
  const next = await commitAll(home.origin.checkout, { "b.txt": "b" });
  await git(home.origin.checkout, "push", "-q");
  await Promise.all([1, 2].map(() => all.materialize({ url, commit: next }, { into: home.place(), log: home.log })));
  expect(daemon.requests).toHaveLength(2);
});

test("branches, tags, annotated tags, full names and HEAD are looked up; a later attempt keeps the commit of the earlier one", async () => {
  const first = home.origin.commit;
  await git(home.origin.checkout, "tag", "-a", "-m", "one", "v1");
  await git(home.origin.checkout, "branch", "feature/x");
  const second = await commitAll(home.origin.checkout, { "b.txt": "b" });
  await git(home.origin.checkout, "push", "-q", "origin", "main", "v1", "feature/x");
  const all = home.repositories();
  const at = (ref?: string, earlier?: string) =>
    all.materialize({ url: home.origin.bare, ...(ref === undefined ? {} : { ref }) }, { into: home.place(), log: home.log, earlier });
  expect(await at()).toBe(second);
  expect(await at("main")).toBe(second);
  expect(await at("v1")).toBe(first);
  expect(await at("feature/x")).toBe(first);
  expect(await at("refs/tags/v1")).toBe(first);
  expect(await at("main", first)).toBe(first);
});

test("a diff lies over its commit as staged changes: text, binary, mode, link, rename, deletion", async () => {
  await commitAll(home.origin.checkout, { "gone.txt": "gone", "old.txt": "the same\n".repeat(50), "pic.bin": Buffer.from([0, 1, 2, 255]) });
  await git(home.origin.checkout, "push", "-q");
  const commit = await git(home.origin.checkout, "rev-parse", "HEAD");
  const changed = Buffer.from([0, 9, 9, 9, 255, 0]);
  await put(home.origin.checkout, { "gone.txt": null, "pic.bin": changed, "train.py": "print(2)\n", "new/deep.txt": "new" });
  await git(home.origin.checkout, "mv", "old.txt", "moved.txt");
  await chmod(join(home.origin.checkout, "train.py"), 0o755);
  await symlink("train.py", join(home.origin.checkout, "link"));
  await git(home.origin.checkout, "add", "-A");
  await execa("git", ["diff", "--cached", "--binary", "--full-index", "-M", `--output=${join(home.path, "diff")}`], {
    cwd: home.origin.checkout,
    env: PLAIN_GIT,
  });
  const into = home.place();
  await home.repositories().materialize({ url: home.origin.bare, commit, diff: { sha256: "diff", sizeBytes: 1 } }, { into, log: home.log });
  expect((await readdir(into)).sort()).toEqual([".git", "link", "moved.txt", "new", "pic.bin", "train.py"]);
  expect(await readFile(join(into, "pic.bin"))).toEqual(changed);
  expect((await stat(join(into, "train.py"))).mode & 0o777).toBe(0o755);
  expect(await readlink(join(into, "link"))).toBe("train.py");
  expect(await git(into, "rev-parse", "HEAD")).toBe(commit);
  expect(await git(into, "write-tree")).toBe(await git(home.origin.checkout, "write-tree"));
});

test("submodules are fetched too, also those of submodules; a relative URL counts from the parent's", async () => {
  const lib = await makeOrigin(home.path, "lib", { "lib.py": "x" });
  const deep = await makeOrigin(home.path, "deep", { "deep.py": "y" });
  const allow = ["-c", "protocol.file.allow=always"];
  await git(lib.checkout, ...allow, "submodule", "--quiet", "add", "../deep.git", "deep");
  await commitAll(lib.checkout);
  await git(lib.checkout, "push", "-q");
  await git(home.origin.checkout, ...allow, "submodule", "--quiet", "add", lib.bare, "third party/lib");
  const commit = await commitAll(home.origin.checkout);
  await git(home.origin.checkout, "push", "-q");
  const config = join(home.path, "gitconfig");
  await writeFile(config, '[protocol "file"]\n\tallow = always\n');
  const all = home.repositories({ inherited: { ...process.env, ...PLAIN_GIT, GIT_CONFIG_GLOBAL: config } });
  const [into, without] = [home.place(), home.place()];
  await all.materialize({ url: home.origin.bare, commit }, { into, log: home.log });
  expect(await readFile(join(into, "third party/lib/lib.py"), "utf8")).toBe("x");
  expect(await readFile(join(into, "third party/lib/deep/deep.py"), "utf8")).toBe("y");
  expect(await git(into, "status", "--porcelain")).toBe("");
  expect(await git(join(into, "third party/lib"), "rev-parse", "HEAD")).toBe(await git(lib.checkout, "rev-parse", "HEAD"));
  await all.materialize({ url: home.origin.bare, commit, submodules: false }, { into: without, log: home.log });
  expect(await readdir(join(without, "third party/lib"))).toEqual([]);
  const strict = await refusalOf(
    home.repositories({ dir: `${home.dir}-2` }).materialize({ url: home.origin.bare, commit }, { into: home.place(), log: home.log }),
  );
  expect(strict).toMatchObject({ code: "setup_failed", message: expect.stringContaining("transport 'file' not allowed") });
  expect(deep.commit).toHaveLength(40);
});

test("git-lfs pointers without git-lfs are told each time", async () => {
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
  const commit = await commitAll(home.origin.checkout, {
    ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    "a/w.bin": pointer,
  });
  await git(home.origin.checkout, "push", "-q");
  const all = home.repositories();
  for (let i = 0; i < 2; i++) {
    home.lines.length = 0;
    await all.materialize({ url: home.origin.bare, commit }, { into: home.place(), log: home.log });
    expect(home.lines).toContainEqual(expect.stringMatching(/1 files, a\/w\.bin for one, are git-lfs pointers/));
  }
});

test("the cache stays under its size: the least recently used go, and who has a copy keeps it", async () => {
  const big = await makeOrigin(home.path, "big", { "big.bin": Buffer.alloc(300_000, 7) });
  const all = home.repositories({ maxBytes: 500_000 });
  const [first, second] = [home.place(), home.place()];
  await all.materialize({ url: home.origin.bare, commit: home.origin.commit }, { into: first, log: home.log });
  await all.materialize({ url: big.bare, commit: big.commit }, { into: second, log: home.log });
  const third = await commitAll(big.checkout, { "big.bin": Buffer.alloc(300_000, 8) });
  await git(big.checkout, "push", "-q");
  await all.materialize({ url: big.bare, commit: third }, { into: home.place(), log: home.log });
  expect((await readdir(home.dir)).length).toBeLessThan(4);
  expect(await git(first, "status", "--porcelain")).toBe("");
  expect(await git(second, "status", "--porcelain")).toBe("");
});
