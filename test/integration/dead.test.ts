import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { type Claim, Session, sessionKey, sessionsBucket } from "../../broker/index.js";
import type { TaskSpec } from "../../protocol/index.js";
import { type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { type Nats, startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const LANE = { queue: "default", class: "normal", shape: "cpu" } as const;

interface Row {
  kind: string;
  queue: string;
  task?: string;
  sequence?: number;
  why: string;
  fix: string[];
  base64?: string;
}

async function navvy(nats: Nats, ...args: string[]) {
  const { exitCode, stdout, stderr } = await execa(process.execPath, [MAIN, ...args], {
    env: { NAVVY_SERVER: nats.url, NO_COLOR: "1", COLUMNS: "400" },
    reject: false,
  });
  return { code: exitCode, out: stdout, err: stderr };
}

async function rowsOf(nats: Nats, ...args: string[]): Promise<Row[]> {
  const { out } = await navvy(nats, "queue", "dead", ...args, "-o", "json");
  return (JSON.parse(out) as { items: Row[] }).items;
}

/** A task on record as running under a session of this agent. */
async function runningUnder(c: Client, session: Session, spec: Partial<TaskSpec> = {}): Promise<Claim> {
  const id = await c.submit(["true"], { spec });
  const claim = await c.navvy.tasks.claims.claim({ id, ticket: 1 }, session.owner, { isHeld: () => false });
  if (!claim) throw new Error("a fresh ticket was refused");
  return claim;
}

const open = (c: Client, agent: string) => Session.open(c.navvy.bus, { agent, leaseMs: 60_000 });
const bury = (c: Client, session: Session) => sessionsBucket(c.navvy.bus).delete(sessionKey(session.owner));

/** Queued on record a minute ago, with no message behind it: what a client leaves that dies between its two writes. */
async function orphan(c: Client): Promise<string> {
  const { id } = await c.navvy.tasks.create({ name: "orphan", spec: { command: ["true"] } });
  const enqueuedAt = new Date(Date.now() - 60_000).toISOString();
  await c.navvy.tasks.bucket.modify(id, (task) => ({ ...task, status: "queued", ticket: 1, queue: "default", enqueuedAt }));
  return id;
}

test("a fleet in good order has nothing in limbo, and what waits, runs or is delayed is not taken for it", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { slots: 1 });
  await c.executing(await c.submit(["sleep", "60"]));
  await c.submit(["true"]);
  const delayed = await c.navvy.tasks.create({ name: "later", spec: { command: ["true"] } });
  await c.navvy.tasks.enqueue(delayed.id, { queue: "default", delayMs: 60_000 });
  expect(await navvy(nats, "queue", "dead")).toEqual({ code: 0, out: "", err: "nothing is stuck and nothing was set aside" });
  expect(await rowsOf(nats, "default")).toEqual([]);
  const { code, err } = await navvy(nats, "queue", "dead", "defualt");
  expect([code, err]).toEqual([3, expect.stringContaining('did you mean "default"')]);
});

test("whatever is stuck or was set aside is listed, with the command that mends it, and the commands work", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { tasks, queues, bus } = c.navvy;
  const [dead, away, cap] = [await open(c, "dead"), await open(c, "away"), await open(c, "cap")];
  const lone = await runningUnder(c, dead);
  const apart = await runningUnder(c, away, { onDisconnect: "continue" });
  const lost = await runningUnder(c, cap, { lostLimit: 0 });
  await tasks.claims.lose(lost.id, cap.owner, "agent cap was lost");
  // The messages of the three were never taken: they are stale from here on, like that of a task that was taken back to draft.
  const drafted = await c.submit(["true"]);
  await tasks.dequeue(drafted);
  const orphaned = await orphan(c);
  const junk = (await bus.js.publish(bus.subjects.lane(LANE), Buffer.from("{ not a ticket"))).seq;
  await bury(c, dead);
  await bury(c, away);

  const rows = await rowsOf(nats);
  expect(rows.map(({ kind, task, sequence }) => [kind, task ?? sequence])).toEqual([
    ...[
      ["unreachable", apart.id],
      ["no_session", lone.id],
    ].sort((a, b) => String(b[1]).localeCompare(String(a[1]))),
    ["no_message", orphaned],
    ["lost", lost.id],
    ...[1, 2, 3, 4].map((sequence) => ["stale", sequence]),
    ["unreadable", junk],
  ]);
  for (const row of rows) expect([row.fix[0], row.queue]).toEqual([expect.stringMatching(/^navvy /), "default"]);
  const table = await navvy(nats, "queue", "dead", "default");
  expect(table.code).toBe(0);
  expect(table.out).toMatch(/unreachable .*out of reach.*navvy agent start --name away/);

  // What its row says is what mends it.
  expect((await navvy(nats, "queue", "dead", "--mend")).err).toContain("1 ticket published again, 4 messages deleted");
  expect((await navvy(nats, "task", "lose", lone.id)).code).toBe(0);
  expect((await navvy(nats, "task", "lose", apart.id, "--reason", "unplugged")).out).toContain("queued: lost 1 of 3");
  expect((await navvy(nats, "task", "reset", lost.id)).code).toBe(0);
  await using _agent = await spawnAgent(nats);
  for (const id of [lone.id, apart.id, orphaned]) expect((await c.ended(id)).status).toBe("completed");
  const [aside, ...more] = await eventually("the junk was set aside", async () => {
    const left = await rowsOf(nats);
    return left[0]?.kind === "set_aside" && left;
  });
  expect(more).toEqual([]);
  expect(Buffer.from(aside?.base64 ?? "", "base64").toString()).toBe("{ not a ticket");
  expect((await navvy(nats, "queue", "dead", "default", "--seen")).err).toContain("1 message set aside, seen");
  expect(await rowsOf(nats)).toEqual([]);
  expect(await queues.messages.counts()).toEqual([]);
});

test("a task that runs on without a lease is listed as unreachable until a person gives it up; then another agent runs it", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, { name: "first", lease: "2s" });
  const command = ["sh", "-c", "if [ $NAVVY_ATTEMPT = 1 ]; then sleep 1000; fi"];
  const id = await c.submit(command, { spec: { onDisconnect: "continue" } });
  await c.executing(id);
  first.kill("SIGSTOP");
  await using _second = await spawnAgent(nats, { name: "second", lease: "2s" });
  await c.navvy.tasks.wait(id, { until: (task) => task.unreachableAt !== undefined, timeoutMs: 30_000 });
  expect((await navvy(nats, "task", "ls")).out).toMatch(/✖ unreachable/);
  expect((await navvy(nats, "task", "show", id)).out).toMatch(/^agent +first, attempt 1; out of reach for \d+s.*navvy task lose/m);
  expect(await rowsOf(nats)).toMatchObject([{ kind: "unreachable", agent: "first" }]);
  const wish = await navvy(nats, "task", "lose", id, "--reason", "unplugged");
  expect(wish.out).toMatch(/queued: lost 1 of 3: given up by .*: unplugged/);
  expect(await c.ended(id)).toMatchObject({
    status: "completed",
    attempt: 2,
    losses: 1,
    attempts: [{ agent: "first" }, { agent: "second" }],
  });
});

test("a running task can be lost by hand only when its session is gone", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const held = await runningUnder(c, await open(c, "there"));
  const refused = await navvy(nats, "task", "lose", held.id);
  expect(refused.code).toBe(1);
  expect(refused.err).toMatch(/held by a session of agent there.*navvy agent show there/s);
  expect(await c.record(held.id)).toMatchObject({ status: "running", losses: 0 });
});

test("what holds on a disconnect is given to a task or a queue by a flag, shown, and a wrong word is refused", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const made = await navvy(nats, "task", "create", "--on-disconnect", "continue", "-o", "json", "--", "true");
  expect(JSON.parse(made.out)).toMatchObject({ spec: { onDisconnect: "continue" } });
  expect((await navvy(nats, "queue", "create", "q", "--on-disconnect", "kill")).code).toBe(0);
  expect(await c.navvy.queues.get("q")).toMatchObject({ onDisconnect: "kill" });
  expect((await navvy(nats, "queue", "edit", "q", "--on-disconnect", "freeze")).code).toBe(0);
  expect(await c.navvy.queues.get("q")).toMatchObject({ onDisconnect: "freeze" });
  const wrong = await navvy(nats, "run", "--on-disconnect", "keep", "--", "true");
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringMatching(/keep.*freeze, continue, kill/s)]);
  expect((await navvy(nats, "queue", "edit", "q")).code).toBe(2);
});

test("a grace longer than the time limit is refused where both are given, before anything is made", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const flags = ["--timeout", "10s", "--grace", "1m"];
  for (const verb of [["run"], ["run", "--dry-run"], ["task", "create"]]) {
    const { code, err } = await navvy(nats, ...verb, ...flags, "--", "true");
    expect([code, err]).toEqual([2, expect.stringMatching(/--grace 1m is longer than --timeout 10s.*slip.*--grace 10s or less/s)]);
  }
  expect(await c.list()).toEqual([]);
  const { id } = await c.navvy.tasks.create({ name: "t", spec: { command: ["true"], timeLimitMs: 10_000 } });
  expect((await c.record(id)).spec.graceMs).toBe(10_000);
  const edited = await navvy(nats, "task", "edit", id, "--grace", "1m");
  expect([edited.code, edited.err]).toEqual([2, expect.stringContaining("a grace of 60000 ms is longer than the time limit of 10000 ms")]);
  expect((await navvy(nats, "task", "edit", id, "--timeout", "2s")).code).toBe(0);
  expect((await c.record(id)).spec).toMatchObject({ timeLimitMs: 2_000, graceMs: 2_000 });
});

test("an abort is seen as requested, delivered and confirmed, also on a queued task and on one whose agent is gone", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const abortOf = async (id: string) => /^abort +(.*)$/m.exec((await navvy(nats, "task", "show", id)).out)?.[1];
  const queued = await c.submit(["true"]);
  await c.navvy.tasks.abort(queued, { reason: "no need" });
  expect(await abortOf(queued)).toMatch(/^requested \d+s ago by tester: no need; confirmed \d+s ago$/);

  const session = await open(c, "gone");
  const claim = await runningUnder(c, session);
  expect((await c.navvy.tasks.abort(claim.id, { reason: "stuck" })).progress).toBe("requested");
  expect(await abortOf(claim.id)).toMatch(/^requested .*: stuck; not delivered yet; not confirmed yet$/);
  await bury(c, session);
  expect(await abortOf(claim.id)).toMatch(/not delivered: its agent is gone; not confirmed yet$/);
  expect((await navvy(nats, "task", "abort", claim.id, "--reason", "stuck")).out).toContain(
    "its agent is gone: it ends as soon as it is taken back",
  );
  await c.navvy.tasks.claims.reap(claim.id, session.owner);
  expect(await c.record(claim.id)).toMatchObject({ status: "aborted", outcome: { kind: "lost" } });
  expect(await abortOf(claim.id)).toMatch(/^requested .*: stuck; never delivered; confirmed \d+s ago$/);

  await using agent = await spawnAgent(nats);
  const leave = join(agent.workDir, "leave");
  const script = `trap 'while [ ! -e "${leave}" ]; do sleep 0.05; done; exit 0' TERM; echo ready; while :; do sleep 0.05; done`;
  const id = await c.submit(["sh", "-c", script]);
  await eventually("it is ready", async () => (await c.logOf(id)) === "ready\n");
  await c.navvy.tasks.abort(id, { reason: "enough" });
  await c.navvy.tasks.wait(id, { until: (task) => task.abort?.deliveredAt !== undefined });
  expect(await abortOf(id)).toMatch(/: enough; delivered \d+s ago; not confirmed yet$/);
  await writeFile(leave, "");
  await c.ended(id);
  expect(await abortOf(id)).toMatch(/: enough; delivered \d+s ago; confirmed \d+s ago$/);
});
