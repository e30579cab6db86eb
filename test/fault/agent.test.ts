import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isNavvyError, Session } from "../../broker/index.js";
import { encode } from "../../protocol/index.js";
import { client, lives, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";
import { isFrozen } from "../support/process-state.js";
import { startProxy } from "../support/tcp-proxy.js";

const sh = (script: string) => ["sh", "-c", script];
/** Prints a line every 50 ms with its attempt, and its pid first. */
const TICKER = 'echo "pid $$"; i=0; while [ $i -lt 400 ]; do echo "$NAVVY_ATTEMPT.$i"; i=$((i+1)); sleep 0.05; done';

test("a task held by an agent that is killed is finished by another and reported once", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats);
  const id = await c.submit(sh("echo attempt $NAVVY_ATTEMPT; if [ $NAVVY_ATTEMPT = 1 ]; then sleep 1000; fi"), {
    spec: { retries: { limit: 0, backoffMs: 0 } },
  });
  await c.executing(id);
  const group = Number(/"pid":(\d+)/.exec(journalOf(first.workDir, first.name))?.[1]);
  expect(lives(group)).toBe(true);
  first.kill("SIGKILL");
  await eventually("its process goes with it", () => !lives(group), { timeoutMs: 5_000 });
  await using second = await spawnAgent(nats);
  const done = await c.ended(id);
  expect(done).toMatchObject({ status: "completed", attempt: 2, losses: 1, failures: 0 });
  expect(done.attempts).toMatchObject([
    { agent: first.name, outcome: { kind: "lost" } },
    { agent: second.name, outcome: { kind: "exited", code: 0 } },
  ]);
  expect(await c.logOf(id)).toBe("attempt 2\n");
});

test("a task that kills its agents ends as failed (lost) at its cap", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const id = await c.submit(sh("sleep 1000"), { spec: { lostLimit: 1 } });
  for (let i = 1; i <= 2; i++) {
    await using agent = await spawnAgent(nats, { lease: "2s" });
    await c.navvy.tasks.wait(id, { until: (task) => task.attempt === i && task.phase === "executing", timeoutMs: 30_000 });
    agent.kill("SIGKILL");
    await agent.exited;
  }
  await using _coordinator = await spawnAgent(nats, { lease: "2s", queues: ["other"] });
  expect(await c.ended(id)).toMatchObject({
    status: "failed",
    losses: 2,
    outcome: { kind: "lost" },
    reason: expect.stringContaining("lost"),
  });
});

test("a stopped agent that wakes after its task finished elsewhere writes nothing, and its processes are gone", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, { name: "sleeper" });
  const reports =
    'echo early > early; echo "{\\"t\\":\\"artifact\\",\\"name\\":\\"early\\",\\"path\\":\\"early\\"}" >> "$NAVVY_EVENTS"; echo "{\\"t\\":\\"scalar\\",\\"k\\":\\"x\\",\\"v\\":1}" >> "$NAVVY_EVENTS"';
  const id = await c.submit(sh(`if [ $NAVVY_ATTEMPT = 2 ]; then echo second; exit 0; fi; ${reports}; ${TICKER}`));
  await eventually("it prints", async () => (await c.logOf(id)).includes("1.3"));
  await eventually("it has reported", async () => (await c.record(id)).reported.artifacts.length === 1);
  const pid = Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
  first.kill("SIGSTOP");
  await using _second = await spawnAgent(nats);
  const done = await c.ended(id);
  expect(done).toMatchObject({ status: "completed", attempt: 2 });
  first.kill("SIGCONT");
  await eventually("its process is gone", () => !lives(pid), { timeoutMs: 2_000 });
  await eventually("it knows that it was revoked", () => first.log.some((line) => line.includes("revoked")));
  await eventually("it serves again under a new session", async () => (await c.navvy.fleet.agent("sleeper")).isUp);
  expect(await c.record(id)).toEqual(done);
  expect(await c.logOf(id)).toBe("second\n");
  expect([done.reported.artifacts, done.reported.metrics]).toEqual([[], {}]);
  expect(await c.navvy.metrics.series({ id, attempt: done.attempt }, "x")).toEqual([]);
});

test("an agent cut off from NATS freezes what it runs before its lease is over, and goes on when the link is back in time", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await using _agent = await spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, { lease: "6s" });
  await using _coordinator = await spawnAgent(nats, { lease: "6s", queues: ["other"] });
  const id = await c.submit(sh(TICKER));
  await eventually("it prints", async () => (await c.logOf(id)).includes("1.3"));
  const pid = Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
  proxy.cut("hold");
  await eventually("it is frozen", () => isFrozen(pid), { timeoutMs: 6_000 });
  proxy.heal();
  await eventually("it is thawed", () => !isFrozen(pid), { timeoutMs: 10_000 });
  await c.navvy.tasks.abort(id);
  const done = await c.ended(id);
  expect(done.attempt).toBe(1);
  const lines = (await c.logOf(id)).trim().split("\n").slice(1);
  expect(lines).toEqual(lines.map((_, i) => `1.${i}`));
});

test("an agent cut off for longer than its lease loses its task to another, and the two never run at once", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using proxy = await startProxy(nats.port);
  await using _cut = await spawnAgent({ url: `nats://127.0.0.1:${proxy.port}` }, { name: "cut", lease: "2s" });
  const id = await c.submit(sh(TICKER));
  await eventually("it prints", async () => (await c.logOf(id)).includes("1.3"));
  const pid = Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
  await using _other = await spawnAgent(nats, { name: "other", lease: "2s" });
  proxy.cut("hold");
  const states: string[] = [];
  await c.navvy.tasks.wait(id, { until: (task) => (states.push(`${task.attempt}${stateOf(pid)}`), task.attempt === 2), timeoutMs: 30_000 });
  expect(isFrozen(pid) || stateOf(pid) === "gone").toBe(true);
  proxy.heal();
  await eventually("the first process is gone", () => !lives(pid), { timeoutMs: 10_000 });
  await c.navvy.tasks.abort(id);
  expect(await c.ended(id)).toMatchObject({ attempt: 2, attempts: [{ agent: "cut", outcome: { kind: "lost" } }, { agent: "other" }] });
});

test("NATS killed and started again in mid-task: the task goes on, and its log has no gap and no repeat", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { lease: "30s" });
  const id = await c.submit(
    sh(
      'i=0; while [ $i -lt 60 ]; do echo $i; echo "{\\"t\\":\\"scalar\\",\\"k\\":\\"x\\",\\"v\\":$i,\\"step\\":$i}" >> "$NAVVY_EVENTS"; i=$((i+1)); sleep 0.05; done',
    ),
  );
  const waiting = c.navvy.tasks.wait(id, { timeoutMs: 50_000 });
  await eventually("it prints", async () => (await c.logOf(id)).includes("5"));
  await nats.kill("SIGKILL");
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // the outage itself
  await nats.restart();
  expect(await waiting).toMatchObject({ status: "completed", attempt: 1 });
  expect(await c.logOf(id)).toBe(`${Array.from({ length: 60 }, (_, i) => i).join("\n")}\n`);
  const points = await c.navvy.metrics.series({ id, attempt: 1 }, "x");
  expect(points.map((point) => point.value)).toEqual(Array.from({ length: 60 }, (_, i) => i));
});

test("a task that ends while NATS is away is settled when it is back", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { lease: "30s" });
  const id = await c.submit(sh("sleep 1; echo late; echo hello > $NAVVY_ARTIFACTS/a.txt; exit 4"));
  await c.executing(id);
  await nats.kill("SIGKILL");
  await new Promise((resolve) => setTimeout(resolve, 2_500)); // it ends meanwhile
  await nats.restart();
  const done = await c.ended(id, 40_000);
  expect(done).toMatchObject({
    status: "failed",
    attempt: 1,
    outcome: { kind: "exited", code: 4 },
    reported: { artifacts: [{ name: "a.txt" }] },
  });
  expect(await c.logOf(id)).toBe("late\n");
});

test("a submitter that dies between its two writes loses nothing: the sweeper publishes the ticket again", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  await c.ended(await c.submit(["true"])); // the lane is there
  const draft = await c.navvy.tasks.create({ name: "orphan", spec: { command: ["true"] } });
  await c.navvy.tasks.bucket.modify(draft.id, (task) => ({
    ...task,
    status: "queued",
    ticket: 1,
    queue: "default",
    enqueuedAt: new Date().toISOString(),
  }));
  expect(await c.ended(draft.id)).toMatchObject({ status: "completed", attempt: 1 });
  for await (const event of c.navvy.events.follow({ kind: "task", id: draft.id, history: true })) {
    if (event.event === "repaired") break;
  }
});

test("a message on the queue that is not ours is set aside with its bytes, and the agent goes on", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  await c.ended(await c.submit(["true"]));
  const subject = c.navvy.bus.subjects.lane({ queue: "default", class: "normal", shape: "cpu" });
  await c.navvy.bus.js.publish(subject, Buffer.from("{ not a ticket"));
  await c.navvy.bus.js.publish(subject, encode({ type: "navvy.ticket.v9", id: "x", ticket: 1 }));
  expect((await c.ended(await c.submit(["true"]))).status).toBe("completed");
  const aside: unknown[] = [];
  for await (const event of c.navvy.events.follow({ kind: "queue", history: true })) {
    if (event.event === "set_aside")
      aside.push([event.reason, Buffer.from(String(event.data?.base64), "base64").toString("latin1").includes("ticket")]);
    if (aside.length === 2) break;
  }
  expect(aside).toEqual([
    [expect.stringMatching(/not/), true],
    [expect.stringContaining("newer navvy"), true],
  ]);
  expect((await c.navvy.queues.laneInfo({ queue: "default", class: "normal", shape: "cpu" }))?.num_ack_pending).toBe(0);
});

test("a record written by a newer navvy is left alone and named, and lists go on without it", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  const id = "01ZZZZZZZZZZZZZZZZZZZZZZZZ";
  const kv = await c.navvy.tasks.bucket.handle();
  await kv.put(id, encode({ type: "navvy.task.v2", id, status: "queued" }));
  await c.navvy.queues.publish({ queue: "default", class: "normal", shape: "cpu" }, { id, ticket: 1 });
  expect((await c.ended(await c.submit(["true"]))).status).toBe("completed");
  const unreadable: string[] = [];
  expect(await c.navvy.tasks.list({}, (key) => unreadable.push(key))).toHaveLength(1);
  expect(unreadable).toEqual([id]);
  const error = await c.record(id).catch((reason: unknown) => reason);
  expect(isNavvyError(error, "newer_version")).toBe(true);
  expect((await kv.get(id))?.revision).toBe(1);
});

test("a leader that freezes in the middle of its term and wakes beside a new one does no harm", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, { queues: ["none"] });
  await eventually("the first leads", () => first.log.some((line) => line.includes("coordinates")));
  await using second = await spawnAgent(nats, { slots: 4 });
  const ids = await Promise.all(Array.from({ length: 6 }, () => c.submit(sh("sleep 8"), {})));
  first.kill("SIGSTOP");
  await eventually("the second takes over", () => second.log.some((line) => line.includes("coordinates")), { timeoutMs: 15_000 });
  first.kill("SIGCONT");
  const done = await Promise.all(ids.map((id) => c.ended(id, 40_000)));
  expect(done.map((task) => [task.status, task.attempt, task.losses])).toEqual(ids.map(() => ["completed", 1, 0]));
});

test("a session whose key was deleted is never made again", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const session = await Session.open(c.navvy.bus, { agent: "ghost", leaseMs: 60_000 });
  expect(await session.renew()).toBe("renewed");
  const kv = await c.navvy.bus.js.views.kv(c.navvy.bus.assets.buckets.sessions.name);
  await kv.delete(`ghost.${session.owner.session}`);
  expect(await session.renew()).toBe("revoked");
  expect(await session.renew()).toBe("revoked");
});

function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2)[0] ?? "?";
  } catch {
    return "gone";
  }
}

function journalOf(workDir: string, name: string): string {
  return readFileSync(join(workDir, name, "journal.jsonl"), "utf8");
}

test("NATS lost for a whole minute in mid-task: the task freezes, goes on as the same attempt, and nothing it said is missing", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { lease: "15s" });
  const id = await c.submit(
    sh(
      'echo "pid $$"; i=0; while [ $i -lt 400 ]; do echo "1.$i"; echo "{\\"t\\":\\"scalar\\",\\"k\\":\\"x\\",\\"v\\":$i,\\"step\\":$i}" >> "$NAVVY_EVENTS"; i=$((i+1)); sleep 0.05; done',
    ),
  );
  const waiting = c.navvy.tasks.wait(id, { timeoutMs: 150_000 });
  await eventually("it prints", async () => (await c.logOf(id)).includes("1.3"));
  const pid = Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
  await nats.kill("SIGKILL");
  await new Promise((resolve) => setTimeout(resolve, 60_000)); // the minute itself
  expect(isFrozen(pid)).toBe(true);
  await nats.restart();
  expect(await waiting).toMatchObject({ status: "completed", attempt: 1, losses: 0 });
  expect((await c.logOf(id)).trim().split("\n").slice(1)).toEqual(Array.from({ length: 400 }, (_, i) => `1.${i}`));
  const points = await c.navvy.metrics.series({ id, attempt: 1 }, "x");
  expect(points.map((point) => point.value)).toEqual(Array.from({ length: 400 }, (_, i) => i));
}, 200_000);
