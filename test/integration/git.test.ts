import { rename } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { tempFolder } from "../support/folder.js";
import { commitAll, git, makeOrigin, PLAIN_GIT, put } from "../support/git.js";
import { startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** The command line, in a folder. */
async function navvy(cwd: string, server: { url: string }, ...args: string[]) {
  const env = { ...PLAIN_GIT, NAVVY_SERVER: server.url };
  const { exitCode, stdout, stderr } = await execa(process.execPath, [MAIN, ...args], { cwd, env, reject: false });
  return { code: exitCode, out: stdout, err: stderr };
}

test("navvy run --git runs the checkout as it lies there, in the folder that it is called in", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using temp = await tempFolder();
  await using agent = await spawnAgent(nats, { env: PLAIN_GIT });
  const origin = await makeOrigin(temp.path, "origin", { "sub/train.sh": "echo one\n", "gone.txt": "gone" });
  const sub = join(origin.checkout, "sub");
  await commitAll(origin.checkout, { "unpushed.txt": "u" });
  await put(origin.checkout, {
    "sub/train.sh": "echo two; git rev-parse HEAD; ls ..; exit 7\n",
    "gone.txt": null,
    "sub/new.bin": Buffer.from([0, 1]),
  });
  const ran = await navvy(sub, nats, "run", "--git", "--", "sh", "train.sh");
  expect(ran.code).toBe(7);
  expect(ran.out.split("\n").slice(0, 4)).toEqual(["two", origin.commit, "sub", "unpushed.txt"]);
  expect(ran.err).toMatch(/▸ code {2}.*origin\.git main@[0-9a-f]{7} \+ 4 files \(diff /);
  const [task] = await c.list();
  expect(task).toMatchObject({
    spec: { git: { url: origin.bare, commit: origin.commit, diff: { sha256: expect.any(String) } }, directory: "sub" },
    attempts: [{ commit: origin.commit }],
  });
  expect(await c.logOf(task?.id ?? "", "navvy")).toContain(`git fetch ${origin.bare} ${origin.commit}`);
  // Again, without the remote: what is here is enough, and not a word is said.
  await rename(origin.bare, `${origin.bare}.away`);
  await navvy(temp.path, nats, "task", "clone", task?.id ?? "", "--enqueue", "-n", "again");
  const again = await c.ended((await c.list({ name: "again" }))[0]?.id ?? "");
  expect(again.outcome).toMatchObject({ kind: "exited", code: 7 });
  expect(await c.logOf(again.id, "navvy")).toBe("");
  expect((await navvy(temp.path, nats, "task", "show", again.id)).out).toMatch(/code +\S.*origin\.git main@[0-9a-f]{7} \+ 4 files/);
  expect(agent.log.join("\n")).not.toContain("could not");
});

test("a branch is looked up once: a retry runs the commit of the first attempt, a reset task the newest", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using temp = await tempFolder();
  await using _agent = await spawnAgent(nats, { env: PLAIN_GIT });
  const origin = await makeOrigin(temp.path);
  const moves = `git rev-parse HEAD; cd "$CHECKOUT" && git commit -q --allow-empty -m next && git push -q; exit 1`;
  const spec = {
    git: { url: origin.bare, ref: "main" },
    retries: { limit: 1, backoffMs: 0 },
    env: { ...PLAIN_GIT, CHECKOUT: origin.checkout },
  };
  const id = await c.submit(["sh", "-c", moves], { spec });
  const ended = await c.ended(id);
  expect(ended.attempts.map((each) => each.commit)).toEqual([origin.commit, origin.commit]);
  expect(await c.logOf(id, "out", 2)).toBe(`${origin.commit}\n`);
  await c.navvy.tasks.reset(id);
  const newest = await git(origin.checkout, "rev-parse", "HEAD");
  await c.navvy.tasks.enqueue(id, { queue: "default" });
  expect((await c.ended(id)).attempts[0]?.commit).toBe(newest);
});

test("what can not be fetched fails in set-up with the cause and the fix, and the slot is free", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using temp = await tempFolder();
  await using _agent = await spawnAgent(nats, { slots: 1, env: PLAIN_GIT });
  const origin = await makeOrigin(temp.path);
  const commit = "0123456789".repeat(4);
  const ran = await navvy(temp.path, nats, "run", "--repo", origin.bare, "--commit", commit, "--", "true");
  expect(ran.code).toBe(125);
  expect(ran.err).toContain(`has no commit ${commit}`);
  const [failed] = await c.list();
  expect(failed).toMatchObject({ status: "failed", attempt: 1, losses: 0, outcome: { kind: "setup_failed" } });
  expect(failed?.outcome?.tail).toMatch(/why: .*\nfix: push it: git push/);
  expect(await c.logOf(failed?.id ?? "", "navvy")).toContain("not our ref");
  const down = await c.ended(await c.submit(["true"], { spec: { git: { url: "git://127.0.0.1:1/x.git", ref: "main" } } }));
  expect(down.outcome).toMatchObject({
    kind: "setup_failed",
    reason: expect.stringContaining("git can not fetch git://127.0.0.1:1/x.git"),
  });
  const next = await c.submit(["cat", "train.py"], { spec: { git: { url: origin.bare, ref: "main" } } });
  expect((await c.ended(next)).status).toBe("completed");
  expect(await c.logOf(next)).toBe("print(1)\n");
});

test("slips are told before a task is made", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using temp = await tempFolder();
  const origin = await makeOrigin(temp.path);
  const refusal = async (...args: string[]) => {
    const { code, err } = await navvy(origin.checkout, nats, "run", ...args, "--", "true");
    return `${code} ${err}`;
  };
  expect(await refusal("--git", "--code", ".")).toMatch(/^2 .*--git and --code/);
  expect(await refusal("--git", "--ref", "main")).toMatch(/^2 .*--ref is about --repo/);
  expect(await refusal("--ref", "main")).toMatch(/^2 .*none was given/);
  expect(await refusal("--repo", origin.bare, "--commit", "abc123")).toMatch(/^2 .*commit "abc123" is not a full name/);
  expect(await refusal("--git", temp.path)).toMatch(/^2 .*lies in no git checkout/);
  expect(await c.list()).toEqual([]);
});

test("credentials stand in no record, whoever makes it; a dry run shows the commit and stores nothing", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using temp = await tempFolder();
  const origin = await makeOrigin(temp.path);
  const url = "https://me:secret@git.lab/a.git";
  await expect(c.navvy.tasks.create({ name: "x", spec: { git: { url } } })).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.not.stringContaining("secret"),
  });
  const code = { bundle: "0".repeat(64), sizeBytes: 1 };
  await expect(c.navvy.tasks.create({ name: "x", spec: { code, git: { url: origin.bare } } })).rejects.toMatchObject({
    code: "invalid_argument",
  });
  const made = await navvy(origin.checkout, nats, "run", "--draft", "-o", "json", "--repo", url, "--", "true");
  expect(made.err).toContain("carries credentials: left out");
  expect(JSON.parse(made.out).spec.git.url).toBe("https://git.lab/a.git");
  const dry = await navvy(origin.checkout, nats, "run", "--dry-run", "--git", "--", "true");
  expect(JSON.parse(dry.out).spec.git).toMatchObject({ url: origin.bare, commit: origin.commit });
});
