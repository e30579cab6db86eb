import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { Session, sessionKey, sessionsBucket } from "../../broker/index.js";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { type Nats, startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const LANE = { queue: "default", class: "normal", shape: "cpu" } as const;

interface Check {
  id: string;
  status: string;
  text: string;
  why?: string;
  fix?: string[];
  rows?: Record<string, unknown>[];
}

/** What `navvy doctor --fleet` finds, and its exit code. */
async function doctor(
  nats: Nats,
): Promise<{ code: number | undefined; checks: Check[]; bad: Check[]; of: (id: string) => Check | undefined }> {
  const { exitCode, stdout } = await execa(process.execPath, [MAIN, "doctor", "--fleet", "-o", "json"], {
    env: { NAVVY_SERVER: nats.url },
    reject: false,
  });
  const { checks } = JSON.parse(stdout) as { checks: Check[] };
  return {
    code: exitCode,
    checks,
    bad: checks.filter(({ status }) => status !== "ok"),
    of: (id) => checks.find((check) => check.id === id),
  };
}

test("a fleet in good order: who coordinates, every session with its age, no finding, exit code 0", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { name: "one", lease: "15s" });
  await c.executing(await c.submit(["sleep", "60"]));
  await eventually("it leads", () => agent.log.some((line) => line.includes("coordinates")));
  const { code, bad, checks, of } = await doctor(nats);
  expect(bad).toEqual([]);
  expect(code).toBe(0);
  expect(checks.map(({ id }) => id)).toEqual(["leader", "sessions", "limbo", "lanes", "room", "queues", "records"]);
  expect(of("leader")?.text).toMatch(/^one, since \d+s, renewed \d+(ms|s) ago$/);
  expect(of("sessions")?.text).toMatch(/^1 lease, last renewed: one \d+(ms|s)$/);
  expect(of("sessions")?.rows).toMatchObject([{ agent: "one", isSilent: false }]);
  const human = await execa(process.execPath, [MAIN, "doctor", "--fleet"], { env: { NAVVY_SERVER: nats.url, NO_COLOR: "1" } });
  expect(human.stdout).toContain("every task ends, waits with a message behind it, or runs under a session");
});

test("nobody who coordinates, and work in limbo, are found with their rows and fixes, and the exit code says so", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const session = await Session.open(c.navvy.bus, { agent: "away", leaseMs: 60_000 });
  const isHeld = () => false;
  for (const onDisconnect of ["continue", undefined] as const) {
    const id = await c.submit(["true"], { name: onDisconnect ?? "lone", ...(onDisconnect ? { spec: { onDisconnect } } : {}) });
    await c.navvy.tasks.claims.claim({ id, ticket: 1 }, session.owner, { isHeld });
  }
  await sessionsBucket(c.navvy.bus).delete(sessionKey(session.owner));
  const { code, of } = await doctor(nats);
  expect(code).toBe(1);
  expect(of("leader")).toMatchObject({ status: "FAIL", why: "no agent is up", fix: ["navvy agent start"] });
  expect(of("unreachable")).toMatchObject({
    status: "FAIL",
    text: expect.stringMatching(/^1 task: \w{6} continue$/),
    rows: [{ agent: "away" }],
  });
  expect(of("unreachable")?.fix?.join()).toMatch(/navvy agent start --name away.*navvy task lose/);
  expect(of("no_session")).toMatchObject({ status: "FAIL", text: expect.stringMatching(/^1 task: \w{6} lone$/) });
  expect(of("stale")).toMatchObject({ status: "warn", text: expect.stringContaining("2 messages") });
  await c.submit(["true"], { queue: "lonely" });
  expect((await doctor(nats)).of("queues")).toMatchObject({ status: "FAIL", text: "1 task on lonely, which nobody serves" });
});

test("a leader and a session that have fallen silent, and an agent that is gone, are told apart", async () => {
  await using nats = await startNats();
  await using _client = await client(nats);
  await using first = await spawnAgent(nats, { name: "frozen", lease: "3s" });
  await eventually("it leads", () => first.log.some((line) => line.includes("coordinates")));
  first.kill("SIGSTOP");
  const silent = await eventually("it is silent", async () => {
    const seen = await doctor(nats);
    return seen.of("sessions")?.status === "FAIL" && seen.of("leader")?.status === "FAIL" && seen;
  });
  expect(silent.code).toBe(1);
  expect(silent.of("leader")?.why).toContain("silent for longer than its lease");
  expect(silent.of("sessions")).toMatchObject({
    text: expect.stringMatching(/^silent: frozen for \d+s/),
    rows: [{ agent: "frozen", isSilent: true }],
  });
  await using _second = await spawnAgent(nats, { name: "second", lease: "3s" });
  const gone = await eventually(
    "the second coordinates and has revoked it",
    async () => {
      const seen = await doctor(nats);
      return seen.of("gone") && seen.of("leader")?.text.startsWith("second") && seen;
    },
    { timeoutMs: 30_000 },
  );
  expect(gone.of("gone")).toMatchObject({
    status: "warn",
    text: "without a session: frozen",
    fix: [expect.stringContaining("navvy agent rm frozen")],
  });
  expect(gone.of("sessions")).toMatchObject({ status: "ok" });
});

test("two agents of one name are found when both are alive, and a lease that outlived its agent is not taken for a second one", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { name: "twin", lease: "8s" });
  const second = await Session.open(c.navvy.bus, { agent: "twin", leaseMs: 8_000 });
  expect((await doctor(nats)).of("twins")).toBeUndefined();
  const renewing = setInterval(() => void second.renew(), 300); // another agent would not start: the name is taken
  const { code, of } = await eventually("both are renewed", async () => {
    const seen = await doctor(nats);
    return seen.of("twins") && seen;
  }).finally(() => clearInterval(renewing));
  expect(code).toBe(1);
  expect(of("twins")?.text).toContain("two agents are named twin");
  for (const pid of [agent.pid, process.pid]) expect(of("twins")?.text).toContain(`pid ${pid}`);
});

test("a lane without its consumer, a consumer of no queue and a stream near its limit are found, and the fixes mend them", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { bus, queues, events } = c.navvy;
  const stream = bus.assets.streams.queue.name;
  await queues.ensureLane(LANE);
  await queues.ensureLane({ ...LANE, queue: "stray" });
  await queues.bucket.delete("stray");
  await bus.jsm.consumers.delete(stream, bus.subjects.laneConsumer(LANE));
  const event = bus.assets.streams.event.name;
  const { state, config } = await bus.jsm.streams.info(event);
  await bus.jsm.streams.update(event, { ...config, max_bytes: state.bytes + 10 });

  const seen = await doctor(nats);
  expect(seen.of("lanes")).toMatchObject({ status: "FAIL", text: expect.stringContaining("default+normal+cpu") });
  expect(seen.of("consumers")).toMatchObject({ status: "warn", text: "of no queue: stray+normal+cpu" });
  expect(seen.of("room")).toMatchObject({
    status: "warn",
    text: expect.stringContaining(event),
    fix: [expect.stringContaining("nats stream edit")],
  });
  expect(seen.code).toBe(1);

  await queues.create("stray");
  await queues.remove("stray");
  await events.flush();
  await bus.jsm.streams.update(event, { ...config, max_bytes: config.max_bytes });
  await using _agent = await spawnAgent(nats, { name: "mender" });
  const mended = await eventually("whoever coordinates has made the consumer again", async () => {
    const now = await doctor(nats);
    return now.of("lanes")?.status === "ok" && now;
  });
  expect(mended.bad).toEqual([]);
  for await (const told of events.follow({ kind: "queue", id: "default", history: true }))
    if (told.event === "repaired" && told.reason.includes("had lost its consumer")) break;
});

test("a bucket that is nearly full fails the check: nothing more could be written", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await c.submit(["true"]);
  const name = `KV_${c.navvy.tasks.bucket.name}`;
  const { state, config } = await c.navvy.bus.jsm.streams.info(name);
  await c.navvy.bus.jsm.streams.update(name, { ...config, max_bytes: state.bytes + 10 });
  expect((await doctor(nats)).of("room")).toMatchObject({ status: "FAIL", text: expect.stringContaining(name) });
});
