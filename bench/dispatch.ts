/**
 * From enqueue to the first instruction of the process, on an idle agent, one task at a time; beside it, a bare spawn of
 * the same program. Aim: p50 at most 1.5 × (bare spawn + 5 ms).
 *
 *   npx tsx bench/dispatch.ts [--tasks N]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median, quantile, report, startFleet } from "./fleet.js";

const { values } = parseArgs({ options: { tasks: { type: "string", default: "100" } } });
const tasks = Number(values.tasks);
const folder = await mkdtemp(join(tmpdir(), "navvy-dispatch-"));
await using fleet = await startFleet({ slots: 2 });

// Its own clock, read by the program itself: the first thing that it does after the loader.
const program = ["/bin/sh", ["-c", "exec /bin/date +%s.%N"]] as const;
const bare: number[] = [];
const dispatched: number[] = [];
for (let i = 0; i < tasks; i++) {
  bare.push(await bareSpawn());
  dispatched.push(await throughAgent(i));
}
await rm(folder, { recursive: true });
const limitMs = 1.5 * (median(bare) + 5);
const row = (what: string, samples: number[]) => ({
  what,
  "p50 ms": Number(median(samples).toFixed(2)),
  "p99 ms": Number(quantile(samples, 0.99).toFixed(2)),
});
await report("dispatch", [row("bare spawn", bare), row("enqueue to first instruction", dispatched)], {
  tasks,
  server: fleet.serverVersion,
  limitMs: Number(limitMs.toFixed(2)),
  ratioToLimit: Number((median(dispatched) / limitMs).toFixed(2)),
});
console.log(`limit 1.5 × (bare spawn + 5 ms) = ${limitMs.toFixed(2)} ms; p50 is ${(median(dispatched) / limitMs).toFixed(2)} of it`);

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

async function bareSpawn(): Promise<number> {
  const [command, args] = program;
  const started = nowMs();
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "ignore"] });
  const [[chunk]] = await Promise.all([once(child.stdout, "data") as Promise<[Buffer]>, once(child, "exit")]);
  return Number(chunk.toString()) * 1000 - started;
}

async function throughAgent(i: number): Promise<number> {
  const file = join(folder, String(i));
  const task = await fleet.navvy.tasks.create({ name: "date", spec: { command: ["/bin/sh", "-c", `exec /bin/date +%s.%N > '${file}'`] } });
  const started = nowMs();
  await fleet.navvy.tasks.enqueue(task.id, { queue: "default" });
  await fleet.navvy.tasks.wait(task.id);
  return Number(await readFile(file, "utf8")) * 1000 - started;
}
