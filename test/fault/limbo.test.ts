import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { client, lives, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";
import { startProxy } from "../support/tcp-proxy.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const sh = (script: string) => ["sh", "-c", script];

test("a task that leaves more than a record can name is settled, and every artifact can be fetched", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  const id = await c.submit(
    sh(
      'i=0; while [ $i -lt 700 ]; do echo $i > "$NAVVY_ARTIFACTS/a-rather-long-name-of-an-artifact-$i.txt"; i=$((i+1)); done; for i in $(seq 60); do printf \'{"t":"note","text":"%04000d"}\\n\' $i >> "$NAVVY_EVENTS"; done',
    ),
  );
  const done = await c.ended(id, 50_000);
  expect(done).toMatchObject({ status: "completed", attempt: 1 });
  expect(await c.navvy.artifacts.listAll(done)).toHaveLength(701);
  const parts: Uint8Array[] = [];
  for await (const part of c.navvy.artifacts.read(done, "a-rather-long-name-of-an-artifact-699.txt")) parts.push(part);
  expect(Buffer.concat(parts).toString()).toBe("699\n");
  const cat = promisify(execFile)(process.execPath, [
    MAIN,
    "artifact",
    "cat",
    id,
    "a-rather-long-name-of-an-artifact-699.txt",
    "-s",
    nats.url,
  ]);
  expect((await cat).stdout).toBe("699\n");
  const listed = await promisify(execFile)(process.execPath, [MAIN, "artifact", "ls", id, "-o", "json", "-s", nats.url]);
  expect(listed.stdout).toContain("a-rather-long-name-of-an-artifact-699.txt");
});

test("many failed attempts that print much do not fill the record up", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  const id = await c.submit(sh("head -c 5000 /dev/zero | tr '\\0' x; exit 1"), { spec: { retries: { limit: 19, backoffMs: 0 } } });
  const done = await c.ended(id, 50_000);
  expect(done).toMatchObject({ status: "failed", attempt: 20, failures: 20 });
  expect(done.outcome?.tail?.length).toBeGreaterThan(4000);
});

test("a record that outgrows its limit at its end is settled all the same, and says what was left out", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  const id = await c.submit(
    sh(`printf '{"t":"output","k":"o","v":"%015000d"}\\n{"t":"param","k":"p","v":"%015000d"}\\n' 0 0 >> "$NAVVY_EVENTS"
        name=$(printf '%0240d' 0); i=0; while [ $i -lt 95 ]; do : > "$NAVVY_ARTIFACTS/$name$i"; i=$((i+1)); done`),
  );
  const done = await c.ended(id, 30_000);
  expect(done).toMatchObject({ status: "completed", reported: { outputs: {} } });
  expect(done.reported.notes.at(-1)?.text).toContain("passed its limit");
});

test("a time limit that passes while the tree is frozen does not let it run on without a lease", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await using _agent = await spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, { lease: "2s", name: "cut" });
  await using _other = await spawnAgent(nats, { lease: "2s", queues: ["none"] });
  const command = sh('trap "" TERM; echo "pid $$"; while :; do date +%s.%N; sleep 0.05; done');
  const { id } = await c.navvy.tasks.create({ name: "deaf", spec: { command, timeLimitMs: 2_500 } });
  // Longer than the limit, as an older client may have written it.
  await c.navvy.tasks.bucket.modify(id, (task) => ({ ...task, spec: { ...task.spec, graceMs: 10_000 } }));
  await c.navvy.tasks.enqueue(id, { queue: "default" });
  await eventually("it prints", async () => (await c.logOf(id)).split("\n").length > 5);
  const pid = Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
  proxy.cut("hold");
  await eventually("the reaper takes the task", async () => (await c.record(id)).status === "queued", { timeoutMs: 15_000 });
  // Past its limit and within its grace: were it running, its time would go on.
  const ticks = () => cpuTicks(pid);
  const before = ticks();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(ticks()).toBe(before);
  proxy.heal();
  await eventually("it is gone", () => !lives(pid), { timeoutMs: 15_000 });
});

test("a queue entry that can not be read neither stops the agents nor makes them hammer the server", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats);
  const kv = await c.navvy.queues.bucket.handle();
  await kv.put("stray", Buffer.from("not ours"));
  await eventually("it is named", () => agent.log.some((line) => line.includes("stray")));
  const consumers = async () => (await c.navvy.bus.jsm.streams.info(`KV_${c.navvy.queues.bucket.name}`)).state.consumer_count;
  expect(await consumers()).toBeLessThan(4);
  expect((await c.ended(await c.submit(["true"]))).status).toBe("completed");
  expect(agent.log.filter((line) => line.includes("stray")).length).toBeLessThan(4);
});

test("a lost ticket behind a backlog is published again once, not in every pass", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { slots: 1 });
  const blocker = await c.submit(sh("sleep 100"));
  await c.executing(blocker);
  const lost = await c.navvy.tasks.create({ name: "lost", spec: { command: ["true"] } });
  const before = new Date(Date.now() - 60_000).toISOString();
  await c.navvy.tasks.bucket.modify(lost.id, (task) => ({ ...task, status: "queued", ticket: 1, queue: "default", enqueuedAt: before }));
  await c.submit(["true"], { name: "backlog" });
  const repairs = async () => {
    const stop = AbortSignal.timeout(400);
    let count = 0;
    for await (const event of c.navvy.events.follow({ kind: "task", id: lost.id, history: true, signal: stop }))
      if (event.event === "repaired") count++;
    return count;
  };
  await eventually("it is repaired", async () => (await repairs()) > 0, { timeoutMs: 20_000 });
  await new Promise((resolve) => setTimeout(resolve, 11_000)); // two more passes of the sweeper
  expect(await repairs()).toBe(1);
  await c.navvy.tasks.abort(blocker, { graceMs: 0 });
  expect((await c.ended(lost.id)).status).toBe("completed");
});

test("a drained agent does not swallow the doorbell of one that is idle", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using drained = await spawnAgent(nats);
  await using _idle = await spawnAgent(nats);
  await c.navvy.fleet.ask(drained.name, "drain");
  await c.ended(await c.submit(["true"]));
  for (let i = 0; i < 6; i++) {
    const started = performance.now();
    await c.ended(await c.submit(["true"]));
    expect(performance.now() - started).toBeLessThan(5_000); // a swallowed ring costs up to 18 s
  }
});

test("an agent whose NATS is away can be told to leave at once, and takes its processes with it", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { lease: "2s" });
  const id = await c.submit(sh('echo "pid $$"; sleep 1000'));
  await eventually("it prints", async () => (await c.logOf(id)).includes("pid"));
  const pid = Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
  await nats.kill("SIGKILL");
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // its lease is no longer fresh
  await agent.leaveNow();
  expect(lives(pid)).toBe(false);
});

function cpuTicks(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 13)
      .join("+");
  } catch {
    return "gone";
  }
}
