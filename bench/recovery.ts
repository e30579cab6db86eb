/**
 * From kill -9 of an agent to the first instruction of its task elsewhere, with the default lease of 15 s. Agents are killed
 * together, each at another moment between two of its renewals. Aim: at most lease + 5 s for all of them.
 *
 *   npx tsx bench/recovery.ts [--agents N]
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { quantile, report, startFleet } from "./fleet.js";

const { values } = parseArgs({ options: { agents: { type: "string", default: "10" } } });
const count = Number(values.agents);
const LEASE_S = 15;
const RENEW_MS = 4_000;
const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

await using fleet = await startFleet({ slots: count });
const { navvy } = fleet;
await navvy.queues.create("victims");
const victims: ChildProcess[] = [];
for (let i = 0; i < count; i++) victims.push(startVictim(i));
const ids: string[] = [];
for (let i = 0; i < count; i++) {
  const script = 'echo "at=$(date +%s.%N)" >> "$NAVVY_OUTPUT"; [ "$NAVVY_ATTEMPT" = 1 ] && sleep 1000; exit 0';
  const task = await navvy.tasks.create({ name: `lost ${i}`, spec: { command: ["sh", "-c", script] } });
  await navvy.tasks.enqueue(task.id, { queue: "victims" });
  ids.push(task.id);
}
const owners = new Map<string, string>();
for (const id of ids) {
  const running = await navvy.tasks.wait(id, { until: (now) => now.phase === "executing", timeoutMs: 120_000 });
  owners.set(running.owner?.agent ?? "", id);
}
// Whoever takes over comes when all slots of the victims are taken.
const heir = startAgent("heir", count);
await delay(5_000);
const killedAt = new Map<string, number>();
for (const [i, victim] of victims.entries()) {
  await delay(RENEW_MS / count);
  const id = owners.get(`victim-${i}`);
  if (id) killedAt.set(id, Date.now());
  victim.kill("SIGKILL");
}
const samples: number[] = [];
for (const [id, at] of killedAt) {
  const done = await navvy.tasks.wait(id, { timeoutMs: 120_000 });
  samples.push(Number(done.reported.outputs.at) - at / 1000);
}
heir.kill("SIGTERM");
await once(heir, "exit");
const row = (q: number) => Number(quantile(samples, q).toFixed(1));
await report("recovery", [{ what: "kill -9 to the next attempt", "p50 s": row(0.5), "worst s": row(1), "lease + 5 s": LEASE_S + 5 }], {
  agents: samples.length,
  server: fleet.serverVersion,
});

function startVictim(i: number): ChildProcess {
  return startAgent(`victim-${i}`, 1, ["--adopt-within", "30s"]);
}

function startAgent(name: string, slots: number, more: string[] = []): ChildProcess {
  const flags = ["--name", name, "--slots", String(slots), "--no-services", "-q", "victims", "--work-dir", join(fleet.folder, "agents")];
  return spawn(process.execPath, [MAIN, "agent", "start", ...flags, ...more], {
    env: { ...process.env, NAVVY_SERVER: fleet.url },
    stdio: ["ignore", "ignore", "inherit"],
  });
}
