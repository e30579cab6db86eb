/**
 * What the controller of a pipeline adds to the tasks that it runs. From the recorded end of a step to the first instruction of the next
 * one, against a bare spawn of the same program; a fan-out and fan-in of many steps, and a chain, against the same tasks enqueued by
 * hand; and, for ever larger graphs, the time for each step and the controller's memory.
 *
 *   npx tsx bench/pipeline.ts [--chain N] [--wide N] [--large N,N,N]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type NewGraph, PipelineRun } from "../controller/index.js";
import { eachOf, median, quantile, report, residentBytes, startFleet } from "./fleet.js";

const { values } = parseArgs({
  options: {
    chain: { type: "string", default: "200" },
    wide: { type: "string", default: "1000" },
    large: { type: "string", default: "1000,10000" },
  },
});
const chain = Number(values.chain);
const wide = Number(values.wide);
const MIB = 2 ** 20;
const AT_ONCE = 32;

const folder = await mkdtemp(join(tmpdir(), "navvy-pipeline-"));
await using fleet = await startFleet({ slots: 4 });
const { navvy } = fleet;
type Steps = NewGraph["steps"];
const step = (name: string, parents: string[], command = ["/bin/true"]): Steps[number] => ({
  name,
  parents,
  action: { kind: "task", spec: { command } },
});
const chained = (count: number, command?: (i: number) => string[]) =>
  Array.from({ length: count }, (_, i) => step(`s${i}`, i > 0 ? [`s${i - 1}`] : [], command?.(i)));
const fanned = (count: number) => {
  const names = Array.from({ length: count }, (_, i) => `s${i}`);
  return [step("first", []), ...names.map((name) => step(name, ["first"])), step("last", names)];
};

/** Runs a graph on the services queue. Seconds from the start of its first task to the end of its last, and its controller's memory. */
async function run(name: string, steps: Steps): Promise<{ seconds: number; peakBytes: number; id: string }> {
  const made = await (await PipelineRun.create(navvy, { type: "navvy.pipeline.v1", name, steps })).enqueue();
  let peakBytes = 0;
  const timer = setInterval(() => void memoryOf("pipeline execute").then((bytes) => (peakBytes = Math.max(peakBytes, bytes))), 250);
  await made.wait();
  clearInterval(timer);
  if (made.record.status !== "completed") throw new Error(`pipeline ${name} ${made.record.status}: ${made.record.outcome?.tail ?? ""}`);
  const tasks = await navvy.tasks.list({ parent: made.id });
  const begun = Math.min(...tasks.map((task) => Date.parse(task.createdAt)));
  const ended = Math.max(...tasks.map((task) => Date.parse(task.endedAt ?? "")));
  return { seconds: (ended - begun) / 1000, peakBytes, id: made.id };
}

async function memoryOf(words: string): Promise<number> {
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.replaceAll("\0", " ").includes(words)) return residentBytes(Number(pid)).catch(() => 0);
  }
  return 0;
}

/** The same tasks by hand: each enqueued as soon as it may, with nothing in between. */
async function byHand(count: number, width: number): Promise<number> {
  const started = performance.now();
  await eachOf(count, width, async (i) => {
    const task = await navvy.tasks.create({ name: `hand-${i}`, spec: { command: ["/bin/true"] } });
    await navvy.tasks.enqueue(task.id, { queue: "default" });
    if (width === 1) await navvy.tasks.wait(task.id);
  });
  if (width > 1) await allEnded(count);
  return (performance.now() - started) / 1000;
}

/** One watch for all of them. */
async function allEnded(count: number): Promise<void> {
  const done = new Set<string>();
  let over = () => {};
  const isOver = new Promise<void>((resolve) => (over = resolve));
  const watch = await navvy.tasks.watch(">", {
    onTask: (task) => {
      if (task.name.startsWith("hand-") && task.endedAt !== undefined) done.add(task.id);
      if (done.size >= count + handsBefore) over();
    },
  });
  await isOver;
  watch.close();
}
let handsBefore = 0;

async function bareSpawn(): Promise<number> {
  const started = performance.timeOrigin + performance.now();
  const child = spawn("/bin/sh", ["-c", "exec /bin/date +%s.%N"], { stdio: ["ignore", "pipe", "ignore"] });
  const [[chunk]] = await Promise.all([once(child.stdout, "data") as Promise<[Buffer]>, once(child, "exit")]);
  return Number(chunk.toString()) * 1000 - started;
}

const bare: number[] = [];
for (let i = 0; i < 50; i++) bare.push(await bareSpawn());
const dated = await run(
  "dated",
  chained(100, (i) => ["/bin/sh", "-c", `exec /bin/date +%s.%N > '${folder}/${i}'`]),
);
const ends = new Map((await navvy.tasks.list({ parent: dated.id })).map((task) => [task.name, Date.parse(task.endedAt ?? "")]));
const gaps: number[] = [];
for (let i = 1; i < 100; i++) gaps.push(Number(await readFile(join(folder, String(i)), "utf8")) * 1000 - (ends.get(`s${i - 1}`) ?? 0));

const wideRun = await run("wide", fanned(wide));
const wideHand = await byHand(wide + 2, AT_ONCE);
handsBefore = wide + 2;
const chainRun = await run("chain", chained(chain));
const chainHand = await byHand(chain, 1);
const rows: Record<string, string | number>[] = [
  { what: "bare spawn, p50", ms: median(bare).toFixed(1) },
  { what: "step to step, p50", ms: median(gaps).toFixed(1), "over bare spawn ms": (median(gaps) - median(bare)).toFixed(1) },
  { what: "step to step, p99", ms: quantile(gaps, 0.99).toFixed(1) },
  { what: `fan-out of ${wide}`, ms: Math.round(wideRun.seconds * 1000), ratio: (wideRun.seconds / wideHand).toFixed(2) },
  { what: `chain of ${chain}`, ms: Math.round(chainRun.seconds * 1000), ratio: (chainRun.seconds / chainHand).toFixed(2) },
];
for (const count of values.large.split(",").map(Number)) {
  const { seconds, peakBytes } = await run(`large-${count}`, fanned(count));
  rows.push({
    what: `graph of ${count}`,
    ms: Math.round(seconds * 1000),
    "ms a step": ((seconds * 1000) / count).toFixed(2),
    MiB: Math.round(peakBytes / MIB),
  });
}
await report("pipeline", rows, { chain, wide, server: fleet.serverVersion });
await rm(folder, { recursive: true });
