import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import type { TaskRecord } from "../../protocol/index.js";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const AGENTS = 10;
/** Starting many at once would only make each slow. */
const AT_ONCE = 3;
const TASK_EVERY_MS = 150;
/** What a restart gives back or waits for must not hang on a lease that a busy machine let pass. */
const LEASE = "15s";

test("a rolling restart of ten agents under load fails nothing and loses nothing", async () => {
  await using fleet = await rollingFleet();
  const { ids } = await under(fleet.c, async () => {
    for (const name of fleet.names) {
      expect(await fleet.c.navvy.fleet.ask(name, "drain", { reason: "upgrade" })).toMatchObject({ ok: true });
      await fleet.restart(name, (agent) => {
        agent.kill("SIGTERM");
        return agent.exited;
      });
    }
  });
  const done = await Promise.all(ids.map((id) => fleet.c.ended(id, 60_000)));
  expect(ids.length).toBeGreaterThan(AGENTS);
  expect(done.map(summary)).toEqual(done.map(() => ({ status: "completed", attempt: 1, losses: 0, failures: 0 })));
  expect(new Set(done.map((task) => task.attempts[0]?.agent)).size).toBeGreaterThan(1);
}, 240_000);

test("a rolling restart that gives running tasks back fails nothing and loses nothing: every task completes", async () => {
  await using fleet = await rollingFleet();
  const { ids } = await under(fleet.c, async () => {
    for (const name of fleet.names) await fleet.restart(name, leaveAtOnce);
  });
  const done = await Promise.all(ids.map((id) => fleet.c.ended(id, 60_000)));
  expect(done.map(({ status, losses, failures }) => ({ status, losses, failures }))).toEqual(
    done.map(() => ({ status: "completed", losses: 0, failures: 0 })),
  );
  const earlier = done.flatMap((task) => task.attempts.slice(0, -1));
  expect(earlier.length).toBeGreaterThan(0);
  expect(earlier.map((attempt) => attempt.outcome?.kind)).toEqual(earlier.map(() => "given_back"));
}, 240_000);

const summary = ({ status, attempt, losses, failures }: TaskRecord) => ({ status, attempt, losses, failures });

/** SIGTERM twice: two within 100 ms would count as one. */
async function leaveAtOnce(agent: AgentProcess): Promise<number | null> {
  agent.kill("SIGTERM");
  await delay(150);
  agent.kill("SIGTERM");
  return agent.exited;
}

/** Submits a task at a steady pace for as long as the work goes on. */
async function under(c: Client, work: () => Promise<void>): Promise<{ ids: string[] }> {
  const ids: string[] = [];
  let isOver = false;
  const loading = (async () => {
    for (let i = 0; !isOver; i++) {
      ids.push(await c.submit(["sh", "-c", `sleep 0.${2 + (i % 7)}; echo ${i}`], { name: `load ${i}` }));
      await delay(TASK_EVERY_MS); // the pace of the load
    }
  })();
  await work().finally(() => (isOver = true));
  await loading;
  return { ids };
}

/** Ten agents with one slot each, that keep their names and folders over restarts. */
async function rollingFleet() {
  const nats = await startNats();
  const folder = await tempFolder();
  const c = await client(nats);
  const names = Array.from({ length: AGENTS }, (_, i) => `roll-${i + 1}`);
  const agents = new Map<string, AgentProcess>();
  const start = async (name: string) => {
    agents.set(name, await spawnAgent(nats, { name, workDir: folder.path, slots: 1, services: 0, lease: LEASE, args: ["--gpus", "none"] }));
  };
  const close = async () => {
    await Promise.all([...agents.values()].map((agent) => agent[Symbol.asyncDispose]()));
    await c[Symbol.asyncDispose]();
    await nats.stop();
    await folder[Symbol.asyncDispose]();
  };
  try {
    for (let i = 0; i < names.length; i += AT_ONCE) await Promise.all(names.slice(i, i + AT_ONCE).map(start));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    c,
    names,
    /** Lets one leave as told, sees that it left in good order, and starts it again. */
    async restart(name: string, leave: (agent: AgentProcess) => Promise<number | null>) {
      const agent = agents.get(name);
      if (agent === undefined) throw new Error(`no agent ${name}`);
      expect([name, await leave(agent)]).toEqual([name, 0]);
      await start(name);
    },
    [Symbol.asyncDispose]: close,
  };
}
