import { mkdir, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  commitAll,
  git,
  gitsOf,
  PLAIN_GIT,
  put,
  startFolderHttp,
  startGitDaemon,
  startGitHttp,
  startSilentRemote,
} from "../../test/support/git.js";
import { type RepositoriesHome, refusalOf, repositoriesHome } from "../../test/support/repositories.js";
import type { Repositories } from "./repositories.js";

let home: RepositoriesHome;

beforeEach(async () => {
  home = await repositoriesHome();
});

afterEach(() => home[Symbol.asyncDispose]());

test("a remote that gives no single commits is fetched whole, also when it is a plain folder behind HTTP", async () => {
  const first = home.origin.commit;
  await commitAll(home.origin.checkout, { "b.txt": "b" });
  await git(home.origin.checkout, "push", "-q");
  await using daemon = await startGitDaemon(home.path);
  const url = daemon.url("origin.git");
  const old = { ...process.env, ...PLAIN_GIT, GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "protocol.version", GIT_CONFIG_VALUE_0: "0" };
  const into = home.place();
  await home.repositories({ inherited: old }).materialize({ url, commit: first }, { into, log: home.log });
  expect(await git(into, "rev-parse", "HEAD")).toBe(first);
  expect(home.lines).toContainEqual(expect.stringContaining("fetching all of it"));
  await git(home.origin.bare, "update-server-info");
  await using plain = await startFolderHttp(home.path);
  const other = home.place();
  await home
    .repositories({ dir: `${home.dir}-2` })
    .materialize({ url: `${plain.origin}/origin.git`, commit: first }, { into: other, log: home.log });
  expect(await git(other, "rev-parse", "HEAD")).toBe(first);
});

test("each refusal names the remote and quotes git: no repository, no branch, no commit, a diff that does not apply", async () => {
  const all = home.repositories();
  const to = (ref: Parameters<Repositories["materialize"]>[0]) => refusalOf(all.materialize(ref, { into: home.place(), log: home.log }));
  const none = join(home.path, "none.git");
  expect(await to({ url: none })).toMatchObject({
    code: "setup_failed",
    why: expect.stringContaining("does not appear to be a git repository"),
  });
  const branch = await to({ url: home.origin.bare, ref: "mian" });
  expect(branch).toMatchObject({ code: "setup_failed", message: expect.stringMatching(/origin\.git has no branch or tag "mian"/) });
  const commit = "0123456789".repeat(4);
  const missing = await to({ url: home.origin.bare, commit });
  expect(missing).toMatchObject({ code: "setup_failed", message: expect.stringContaining(`has no commit ${commit}`) });
  expect(missing.fix[0]).toContain("git push");
  await put(home.path, { diff: "diff --git a/nope b/nope\n--- a/nope\n+++ b/nope\n@@ -1 +1 @@\n-x\n+y\n" });
  const apply = await to({ url: home.origin.bare, commit: home.origin.commit, diff: { sha256: "diff", sizeBytes: 1 } });
  expect(apply).toMatchObject({ code: "setup_failed", why: expect.stringContaining("nope: does not exist in index") });
  const down = await to({ url: "git://127.0.0.1:1/x.git", commit });
  expect(down).toMatchObject({ code: "setup_failed", why: expect.stringContaining("Connection refused") });
  expect((await readdir(home.dir)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test("a remote that wants a login is not waited for; the host's stored login is used and told nowhere", async () => {
  await using http = await startGitHttp(home.path);
  const url = `http://${http.origin}/origin.git`;
  const ref = { url, commit: home.origin.commit };
  const refused = await refusalOf(home.repositories().materialize(ref, { into: home.place(), log: home.log }));
  expect(refused).toMatchObject({ code: "setup_failed", why: expect.stringContaining("terminal prompts disabled") });
  expect(refused.fix.join("\n")).toContain(`git ls-remote ${url}`);
  const config = join(home.path, "gitconfig");
  await writeFile(config, `[url "http://me:wrong@${http.origin}/"]\n\tinsteadOf = http://${http.origin}/\n`);
  const inherited = { ...process.env, ...PLAIN_GIT, GIT_CONFIG_GLOBAL: config };
  const wrong = await refusalOf(home.repositories({ inherited }).materialize(ref, { into: home.place(), log: home.log }));
  expect(JSON.stringify([wrong.message, wrong.why, wrong.fix, home.lines])).not.toContain("wrong");
  await writeFile(config, `[url "http://me:secret@${http.origin}/"]\n\tinsteadOf = http://${http.origin}/\n`);
  await home.repositories({ inherited }).materialize(ref, { into: home.place(), log: home.log });
  expect(home.lines.join("\n")).not.toContain("secret");
  const inUrl = await refusalOf(
    home.repositories().materialize({ url: `http://me:secret@${http.origin}/origin.git` }, { into: home.place(), log: home.log }),
  );
  expect(JSON.stringify([inUrl.message, inUrl.fix])).not.toContain("secret");
});

test("a git that is missing and one that hangs are told as such, and nothing of them stays", async () => {
  await using silent = await startSilentRemote();
  const bin = join(home.path, "bin");
  await mkdir(bin);
  const all = home.repositories({ inherited: { ...PLAIN_GIT, PATH: bin } });
  const none = await refusalOf(all.materialize({ url: home.origin.bare }, { into: home.place(), log: home.log }));
  expect(none).toMatchObject({ code: "setup_failed", fix: expect.arrayContaining(["sudo apt-get install -y git"]) });
  await symlink((await execa("which", ["git"])).stdout, join(bin, "git"));
  expect(await all.materialize({ url: home.origin.bare }, { into: home.place(), log: home.log })).toBe(home.origin.commit);
  const late = await refusalOf(
    home.repositories({ limitMs: 3_000 }).materialize({ url: silent.url }, { into: home.place(), log: home.log }),
  );
  expect(late).toMatchObject({ code: "setup_failed", message: expect.stringContaining("git ls-remote did not end within 3 s") });
  expect(await gitsOf(home.dir)).toEqual([]);
});

test("who is cut leaves at once and the others get theirs; when the last is cut, git is ended", async () => {
  await using silent = await startSilentRemote();
  const all = home.repositories();
  const [first, second] = [new AbortController(), new AbortController()];
  const ref = { url: silent.url, commit: home.origin.commit };
  const ends = [first, second].map(({ signal }) =>
    all.materialize(ref, { into: home.place(), log: home.log, signal }).catch((error: Error) => error.message),
  );
  await expect.poll(() => silent.hasVisitor()).toBe(true);
  first.abort(new Error("cut one"));
  expect(await ends[0]).toBe("cut one");
  expect(await gitsOf(home.dir)).not.toEqual([]);
  second.abort(new Error("cut two"));
  expect(await ends[1]).toBe("cut two");
  await expect.poll(() => gitsOf(home.dir)).toEqual([]);
  await all.materialize({ url: home.origin.bare, commit: home.origin.commit }, { into: home.place(), log: home.log });
});

test("a mirror that is damaged is made anew, once; locks that a crash left are nobody's", async () => {
  const ref = { url: home.origin.bare, commit: home.origin.commit };
  await home.repositories().materialize(ref, { into: home.place(), log: home.log });
  const mirror = join(home.dir, (await readdir(home.dir)).find((name) => name.endsWith(".git")) ?? "");
  await put(mirror, { "shallow.lock": "", "packed-refs.lock": "", [`refs/navvy/${home.origin.commit}.lock`]: "" });
  const next = await commitAll(home.origin.checkout, { "b.txt": "b" });
  await git(home.origin.checkout, "push", "-q");
  await home.repositories().materialize({ ...ref, commit: next }, { into: home.place(), log: home.log });
  expect(home.lines.join("\n")).not.toContain("damaged");
  const blob = await git(mirror, "rev-parse", `${home.origin.commit}:train.py`);
  const packs = join(mirror, "objects", "pack");
  for (const name of (await readdir(packs)).filter((each) => each.endsWith(".pack"))) {
    await rename(join(packs, name), join(home.path, name));
    await execa("git", ["unpack-objects", "-q"], { cwd: mirror, env: PLAIN_GIT, inputFile: join(home.path, name) });
  }
  await rm(join(mirror, "objects", blob.slice(0, 2), blob.slice(2)));
  const third = await commitAll(home.origin.checkout, { "c.txt": "c" });
  await git(home.origin.checkout, "push", "-q");
  await home.repositories().materialize({ ...ref, commit: third }, { into: home.place(), log: home.log });
  expect(home.lines.filter((line) => line.includes("damaged"))).toHaveLength(1);
  await writeFile(join(mirror, "config"), "[[[");
  const fourth = await commitAll(home.origin.checkout, { "d.txt": "d" });
  await git(home.origin.checkout, "push", "-q");
  const into = home.place();
  await home.repositories().materialize({ ...ref, commit: fourth }, { into, log: home.log });
  expect(home.lines.filter((line) => line.includes("damaged"))).toHaveLength(2);
  expect(await git(into, "rev-parse", "HEAD")).toBe(fourth);
});
