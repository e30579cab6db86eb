/**
 * Does any agent stand idle while a task that fits it waits? A real server, the agents' own loops (claims, lanes, slots) with
 * nothing behind them: a claimed task holds its slot for as long as it was made to, and no process is started.
 *
 * Whoever judges keeps its own books (bench/matching-judge.ts) and tries every waiting task on every agent. Beside it, the same
 * tasks and agents through a packer that knows everything at once and loses no time: what the time could have been.
 *
 *   npx tsx bench/matching.ts [--tasks N] [--agents N] [--seed N]
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { resolveConfig } from "../agent/config.js";
import { ClaimLoop } from "../agent/loops/claim.js";
import { Lanes } from "../agent/loops/lanes.js";
import { Slots } from "../agent/slots.js";
import { type Claim, connect, findServer, type Navvy, startServer } from "../broker/index.js";
import { eachOf, quantile, report } from "./fleet.js";
import { Judge } from "./matching-judge.js";
import { idealMs, makeAgents, makeTasks, type SimAgent, type SimTask } from "./matching-plan.js";

const { values } = parseArgs({
  options: {
    tasks: { type: "string", default: "1000" },
    agents: { type: "string", default: "20" },
    seed: { type: "string", default: "1" },
  },
});
const [count, width, seed] = [Number(values.tasks), Number(values.agents), Number(values.seed)];
const log = pino({ level: "silent" });
const folder = await mkdtemp(join(tmpdir(), "navvy-matching-"));
const server = await startServer({ storeDir: join(folder, "nats"), binary: (await findServer()).path });
const rows: Record<string, string | number>[] = [];
try {
  rows.push(await round("all queued before", { everyMs: 0 }));
  rows.push(await round("one comes every 40 ms", { everyMs: 40 }));
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
await report("matching", rows, { tasks: count, agents: width, seed, server: server.version });
// One that was only found by the sweep every 15 s had been missed by everything else.
const wrong = rows.some((row) => row["taken too much"] !== 0 || row["ran"] !== count || Number(row["longest ms"]) > 10_000);
if (wrong) process.exitCode = 1;

async function round(what: string, { everyMs }: { everyMs: number }): Promise<Record<string, string | number>> {
  const namespace = `m${rows.length}`;
  await using client = await connect({ servers: server.url, namespace, actor: "bench" });
  const agents = makeAgents(width, seed);
  const tasks = makeTasks(count, agents, seed);
  const judge = new Judge(agents);
  const submit = (i: number) => enqueue(client, tasks[i] as SimTask, judge);
  if (everyMs === 0) await eachOf(count, 16, submit);
  const started = performance.now();
  const stops = await Promise.all(agents.map((agent) => run(agent, { namespace, judge })));
  judge.start();
  const coming: Promise<void>[] = [];
  for (let i = 0; everyMs > 0 && i < count; i++) {
    await new Promise((resolve) => setTimeout(resolve, started + i * everyMs - performance.now()));
    coming.push(submit(i));
  }
  await Promise.all(coming);
  await judge.allEnded(count);
  const tookMs = performance.now() - started;
  for (const stop of stops) await stop();
  const ideal = idealMs(agents, tasks, everyMs);
  const { overtaken, tooMuch, idles } = judge.verdict();
  return {
    what,
    ran: judge.ended,
    shapes: new Set(tasks.map((task) => JSON.stringify(task.needs))).size,
    "took s": round2(tookMs / 1000),
    "ideal s": round2(ideal / 1000),
    "idle though one fits, p50 ms": round2(quantile(idles, 0.5)),
    "p99 ms": round2(quantile(idles, 0.99)),
    "longest ms": round2(Math.max(...idles)),
    "taken too much": tooMuch,
    overtaken,
  };
}

async function enqueue(navvy: Navvy, task: SimTask, judge: Judge): Promise<void> {
  const { id } = await navvy.tasks.create({
    name: "sim",
    spec: { command: ["true"], resources: task.needs, ...(task.needs.container ? { container: { image: "sim" } as never } : {}) },
  });
  judge.knows(id, task);
  await navvy.tasks.enqueue(id, { queue: "default" });
  judge.waits(id);
}

/** One agent as it is, but for what comes after a claim. @returns how to stop it */
async function run(agent: SimAgent, { namespace, judge }: { namespace: string; judge: Judge }): Promise<() => Promise<void>> {
  const navvy = await connect({ servers: server.url, namespace, actor: agent.name });
  const config = resolveConfig({ connection: {}, name: agent.name, slots: agent.slots, serviceSlots: 0, workDir: folder, log });
  const slots = new Slots({ compute: agent.slots, service: 0 }, agent.offer);
  const owner = { agent: agent.name, session: `s-${agent.name}` };
  const loop: { claims?: ClaimLoop } = {};
  const lanes = await Lanes.open(navvy, { served: config.serves, onChange: (found) => loop.claims?.lanesChanged(found), log });
  const end = async (claim: Claim, free: () => void) => {
    judge.ends(claim.id);
    free();
    loop.claims?.kick();
    await navvy.tasks.claims.finish(claim, { kind: "exited", code: 0 }, { reported: claim.record.reported });
    judge.ended++;
  };
  loop.claims = new ClaimLoop({
    ...{ navvy, config, slots, lanes },
    owner: () => owner,
    mayClaim: () => true,
    isHeld: () => false,
    onClaim: (claim, slot) => {
      const forMs = judge.takes(agent, claim.id);
      setTimeout(() => void end(claim, () => slots.free(slot)), forMs);
    },
  });
  return async () => {
    await loop.claims?.stop();
    lanes.close();
    await navvy.close();
  };
}

function round2(value: number): number {
  return Number(value.toFixed(2));
}
