/**
 * From a person's abort to SIGTERM in the process, on a healthy link, read by the task itself. Aim: p99 under 1 s.
 *
 *   npx tsx bench/abort.ts [--tasks N]
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { quantile, report, startFleet } from "./fleet.js";

const { values } = parseArgs({ options: { tasks: { type: "string", default: "100" } } });
const tasks = Number(values.tasks);
await using fleet = await startFleet({ slots: 8 });
const { navvy } = fleet;

const WAITS = 'trap \'echo "at=$(date +%s.%N)" >> "$NAVVY_OUTPUT"; exit 0\' TERM; while :; do sleep 0.02 & wait $!; done';
const samples: number[] = [];
for (let i = 0; i < tasks; i++) {
  const task = await navvy.tasks.create({ name: `abort ${i}`, spec: { command: ["sh", "-c", WAITS] } });
  await navvy.tasks.enqueue(task.id, { queue: "default" });
  await navvy.tasks.wait(task.id, { until: (now) => now.phase === "executing", timeoutMs: 30_000 });
  await delay(100); // the shell sets its trap
  const askedAt = Date.now();
  await navvy.tasks.abort(task.id);
  const done = await navvy.tasks.wait(task.id, { timeoutMs: 60_000 });
  samples.push(Number(done.reported.outputs.at) * 1000 - askedAt);
}
const row = (q: number) => Number(quantile(samples, q).toFixed(1));
await report("abort", [{ what: "abort to SIGTERM", "p50 ms": row(0.5), "p99 ms": row(0.99), "worst ms": row(1) }], {
  tasks,
  server: fleet.serverVersion,
});
