/**
 * What code and an environment that is there already add to a start: from enqueue to the first instruction of the process, on an
 * idle agent, one task at a time, in turn. Aim: both together at most 150 ms over a task that has neither.
 *
 *   npx tsx bench/warm-start.ts [--tasks N]
 */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { packBundle } from "../broker/index.js";
import { type CodeRef, type GitRef, Setup, type TaskSpec } from "../protocol/index.js";
import { median, quantile, report, startFleet } from "./fleet.js";

const FILES = 100;

const { values } = parseArgs({ options: { tasks: { type: "string", default: "60" } } });
const tasks = Number(values.tasks);
const folder = await mkdtemp(join(tmpdir(), "navvy-warm-"));
await using fleet = await startFleet({ slots: 2 });

const project = await makeProject();
const code = await sendCode(project);
const git = commit(project);
const setup = Setup.parse({ kind: "python" });
const kinds: Record<string, Partial<TaskSpec>> = {
  bare: {},
  "with code": { code },
  "with code and environment": { code, setup },
  "with git and environment": { git, setup },
};
const samples: Record<string, number[]> = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
for (const spec of Object.values(kinds)) await start(spec); // the first of each makes what the others find
for (let i = 0; i < tasks; i++) for (const [kind, spec] of Object.entries(kinds)) samples[kind]?.push(await start(spec));
await rm(folder, { recursive: true });

const bare = median(samples.bare ?? []);
const rows = Object.entries(samples).map(([what, each]) => ({
  what,
  "p50 ms": Number(median(each).toFixed(2)),
  "p99 ms": Number(quantile(each, 0.99).toFixed(2)),
  "p50 over bare": Number((median(each) - bare).toFixed(2)),
}));
await report("warm-start", rows, { tasks, files: FILES, server: fleet.serverVersion });

/** A small project: some hundred files of code, and requirements that ask for nothing, so that no index is needed. */
async function makeProject(): Promise<string> {
  const at = join(folder, "project");
  await mkdir(at);
  await writeFile(join(at, "requirements.txt"), "# nothing\n");
  for (let i = 0; i < FILES; i++) await writeFile(join(at, `module_${i}.py`), `VALUE = ${i}\n`.repeat(50));
  return at;
}

/** The same project at one commit, which the agent fetches once. */
function commit(at: string): GitRef {
  const call = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=bench", "-c", "user.email=bench@example.org", ...args], { cwd: at });
  call("init", "--quiet");
  call("add", "--all");
  call("commit", "--quiet", "--message", "all");
  return { url: `file://${at}`, commit: call("rev-parse", "HEAD").toString().trim() };
}

async function sendCode(project: string): Promise<CodeRef> {
  const into = join(folder, "packed");
  await mkdir(into);
  const packed = await packBundle(project, { into });
  await fleet.navvy.objects.putFile(packed.file);
  return { bundle: packed.sha256, sizeBytes: packed.sizeBytes };
}

async function start(spec: Partial<TaskSpec>): Promise<number> {
  await untilTidy();
  const file = join(folder, "started");
  const command = ["/bin/sh", "-c", `exec /bin/date +%s.%N > '${file}'`];
  const task = await fleet.navvy.tasks.create({ name: "date", spec: { ...spec, command } });
  const enqueued = performance.timeOrigin + performance.now();
  await fleet.navvy.tasks.enqueue(task.id, { queue: "default" });
  const { status } = await fleet.navvy.tasks.wait(task.id);
  if (status !== "completed") throw new Error(`task ${task.id} is ${status}`);
  return Number(await readFile(file, "utf8")) * 1000 - enqueued;
}

/** What the one before left is removed in the background, and would be in the way. */
async function untilTidy(): Promise<void> {
  const attempts = join(fleet.folder, "agent", "bench", "attempts");
  while ((await readdir(attempts)).length > 0) await delay(5);
}
