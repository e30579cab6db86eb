import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { client, lives, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";
import { startProxy } from "../support/tcp-proxy.js";

const sh = (script: string) => ["sh", "-c", script];

test("between claim and exec: the download is cut short, the program never runs, the slot is free", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  await using agent = await spawnAgent(nats, { slots: 1 });
  const file = join(folder.path, "big");
  writeFileSync(file, "");
  truncateSync(file, 700 * 2 ** 20);
  const input = await c.navvy.objects.putFile(file);
  const id = await c.submit(sh("echo ran"), { spec: { inputs: { big: input } } });
  await c.navvy.tasks.wait(id, { until: (task) => task.status === "running", timeoutMs: 10_000 });
  await c.navvy.tasks.abort(id);
  expect(await c.ended(id, 5_000)).toMatchObject({ status: "aborted", attempt: 1, outcome: { kind: "aborted" } });
  expect(await c.logOf(id)).toBe("");
  const next = await c.submit(sh("echo next"));
  expect(await c.ended(next)).toMatchObject({ status: "completed" });
  expect(agent.log.filter((line) => line.includes('"level":50'))).toEqual([]);
}, 60_000);

test("while its artifacts are uploaded: the upload is cut short, and the record says that not all of them are there", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  const id = await c.submit(sh('echo small > "$NAVVY_ARTIFACTS/a"; truncate -s 6G "$NAVVY_ARTIFACTS/b"'));
  await c.navvy.tasks.wait(id, { until: (task) => task.phase === "collecting", timeoutMs: 20_000 });
  await c.navvy.tasks.abort(id);
  const done = await c.ended(id, 10_000);
  expect(done).toMatchObject({ status: "aborted", outcome: { kind: "aborted" } });
  expect(done.reported.artifacts.map((artifact) => artifact.name)).toEqual(["a"]);
  expect(done.reported.notes.map((note) => note.text).join()).toContain("not all of them are there");
}, 60_000);

test("on an agent that is cut off: requested at once, delivered when the link is back, confirmed when nothing of it lives", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await using _agent = await spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, { lease: "10s" });
  const id = await c.submit(sh('trap "exit 0" TERM; echo "pid $$"; while :; do sleep 0.05; done'));
  await eventually("it prints", async () => (await c.logOf(id)).includes("pid"));
  const pid = Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
  proxy.cut("hold");
  const { progress } = await c.navvy.tasks.abort(id, { reason: "enough" });
  expect(progress).toBe("requested");
  const wished = await c.record(id);
  expect(wished).toMatchObject({ status: "running", abort: { reason: "enough" } });
  expect(wished.abort?.deliveredAt).toBeUndefined();
  expect(lives(pid)).toBe(true);
  proxy.heal();
  const done = await c.ended(id);
  expect(done).toMatchObject({ status: "aborted", attempt: 1, losses: 0, reason: "enough" });
  expect(done.abort?.deliveredAt).toBeDefined();
  expect(lives(pid)).toBe(false);
});

test("a second wish with a shorter grace hastens the first", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  const id = await c.submit(sh('trap "" TERM; echo ready; while :; do sleep 0.05; done'), { spec: { graceMs: 600_000 } });
  await eventually("it is ready", async () => (await c.logOf(id)) === "ready\n");
  await c.navvy.tasks.abort(id);
  await c.navvy.tasks.wait(id, { until: (task) => task.phase === "aborting", timeoutMs: 5_000 });
  await c.navvy.tasks.abort(id, { graceMs: 0 });
  expect(await c.ended(id, 10_000)).toMatchObject({ status: "aborted" });
});
