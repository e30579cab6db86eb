/**
 * 200,000 lines of 100 bytes from a task through its agent and NATS to a follower that cuts them into lines, beside the raw pipe of
 * the same program whose reader does the same. Aim: at least 0.5 of the raw pipe, and the agent's memory flat.
 *
 *   npx tsx bench/logs.ts [--lines N] [--rounds N]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { LineSplitter, textOf } from "../cli/commands/task/line-splitter.js";
import { median, report, residentBytes, startFleet } from "./fleet.js";

const { values } = parseArgs({ options: { lines: { type: "string", default: "200000" }, rounds: { type: "string", default: "5" } } });
const lines = Number(values.lines);
const text = "x".repeat(99);
const script = `yes ${text} | head -n ${lines}`;
await using fleet = await startFleet({ slots: 2 });
const pid = fleet.agent.pid ?? 0;
const rows = [];
let peakBytes = 0;
const watcher = setInterval(() => void residentBytes(pid).then((bytes) => (peakBytes = Math.max(peakBytes, bytes))), 20);
await follow(); // warm
const beforeBytes = await residentBytes(pid);
peakBytes = 0;
for (let round = 1; round <= Number(values.rounds); round++) {
  const raw = lines / (await rawPipe());
  const navvy = lines / (await follow());
  rows.push({ round, "raw pipe lines/s": Math.round(raw), "navvy lines/s": Math.round(navvy), ratio: Number((navvy / raw).toFixed(2)) });
}
clearInterval(watcher);
const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
await report("logs", rows, {
  lines,
  server: fleet.serverVersion,
  medianRatio: median(rows.map((row) => row.ratio)),
  agentMiB: { before: mib(beforeBytes), peak: mib(peakBytes) },
});
console.log(`agent memory: ${mib(beforeBytes)} MiB before, ${mib(peakBytes)} MiB at its peak`);

/** Seconds until all of it has come through a pipe, line by line. */
async function rawPipe(): Promise<number> {
  const started = performance.now();
  const child = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "ignore"] });
  const splitter = new LineSplitter();
  let characters = 0;
  child.stdout.on("data", (data: Buffer) => {
    for (const line of splitter.take({ attempt: 1, stream: "out", at: "", data })) characters += textOf(line).length;
  });
  await once(child, "close");
  if (characters !== lines * 99) throw new Error(`the pipe gave ${characters} characters`);
  return (performance.now() - started) / 1000;
}

/** Seconds from enqueue until a follower has all of it, line by line. */
async function follow(): Promise<number> {
  const { tasks, logs } = fleet.navvy;
  const task = await tasks.create({ name: "yes", spec: { command: ["sh", "-c", script] } });
  const started = performance.now();
  const queued = await tasks.enqueue(task.id, { queue: "default" });
  const splitter = new LineSplitter();
  let characters = 0;
  let doneAt = 0;
  for await (const piece of logs.read(queued, { follow: true })) {
    for (const line of splitter.take(piece)) characters += textOf(line).length;
    if (characters === lines * 99) doneAt ||= performance.now();
  }
  if (characters !== lines * 99) throw new Error(`the follower got ${characters} characters`);
  return (doneAt - started) / 1000;
}
