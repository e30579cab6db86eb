import { randomBytes } from "node:crypto";
import { chmod, readdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { gitsOf, makeOrigin, PLAIN_GIT, put, startGitDaemon, startSilentRemote, startStall } from "../support/git.js";
import { startNats } from "../support/nats.js";

const COMMIT = "0123456789".repeat(4);

test("an abort in the middle of a fetch ends git at once and frees the slot", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using temp = await tempFolder();
  await using silent = await startSilentRemote();
  await using agent = await spawnAgent(nats, { slots: 1, env: PLAIN_GIT });
  const repositories = join(agent.workDir, agent.name, "git");
  const id = await c.submit(["true"], { spec: { git: { url: silent.url, commit: COMMIT } } });
  await eventually("git fetches", async () => silent.hasVisitor() && (await gitsOf(repositories)).length > 0);
  await c.navvy.tasks.abort(id, { reason: "enough" });
  expect(await c.ended(id)).toMatchObject({ status: "aborted", outcome: { kind: "aborted" } });
  await eventually("no git is left", async () => (await gitsOf(repositories)).length === 0);
  const origin = await makeOrigin(temp.path);
  const next = await c.submit(["cat", "train.py"], { spec: { git: { url: origin.bare, commit: origin.commit } } });
  expect((await c.ended(next)).status).toBe("completed");
  await eventually("nothing half is left", async () => (await readdir(repositories)).every((name) => !name.endsWith(".tmp")));
});

test("an agent that is killed in the middle of a fetch leaves nothing that breaks the next one", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using temp = await tempFolder();
  await using work = await tempFolder();
  const origin = await makeOrigin(temp.path, "origin", { "big.bin": randomBytes(4_000_000) }); // more than fits into the buffers on the way
  await using daemon = await startGitDaemon(temp.path);
  await using stall = await startStall({ port: daemon.port, afterBytes: 1_000_000 });
  const url = `git://127.0.0.1:${stall.port}/origin.git`;
  await using first = await spawnAgent(nats, { name: "one", workDir: work.path, env: PLAIN_GIT });
  const repositories = join(work.path, "one", "git");
  const id = await c.submit(["sh", "-c", "git fsck --full && wc -c < big.bin"], { spec: { git: { url, commit: origin.commit } } });
  const halfPacks = async () => {
    const mirror = (await readdir(repositories)).find((name) => name.endsWith(".git")) ?? "none";
    return (await readdir(join(repositories, mirror, "objects", "pack"))).filter((name) => name.startsWith("tmp_"));
  };
  await eventually("half of it is here", async () => stall.hasStalled() && (await halfPacks()).length > 0);
  first.kill("SIGKILL");
  await first.exited;
  expect(await gitsOf(repositories)).not.toEqual([]);
  stall.heal();
  await using _second = await spawnAgent(nats, { name: "one", workDir: work.path, env: PLAIN_GIT });
  expect(await c.ended(id)).toMatchObject({ status: "completed", outcome: { kind: "exited", code: 0 } });
  expect(await c.logOf(id)).toContain("4000000");
  expect(await gitsOf(repositories)).toEqual([]);
  expect(await halfPacks()).toEqual([]);
});

test("a git that hangs has a time limit of its own, and its whole group goes", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using temp = await tempFolder();
  const bin = join(temp.path, "bin");
  await put(bin, { git: "#!/bin/sh\ntrap '' TERM\nsleep 1000 &\nwait\n" });
  await chmod(join(bin, "git"), 0o755);
  const env = { ...PLAIN_GIT, PATH: [bin, process.env.PATH ?? ""].join(delimiter) };
  await using agent = await spawnAgent(nats, { slots: 1, env, args: ["--git-limit", "500ms"] });
  const id = await c.submit(["true"], { spec: { git: { url: "https://git.lab/x.git", commit: COMMIT } } });
  const ended = await c.ended(id);
  expect(ended.outcome).toMatchObject({ kind: "setup_failed", reason: expect.stringContaining("did not end within 0.5 s") });
  expect(await gitsOf(join(agent.workDir, agent.name, "git"))).toEqual([]);
  expect((await c.ended(await c.submit(["true"]))).status).toBe("completed");
});
