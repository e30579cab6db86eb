/**
 * What code from git adds to a task: at an unchanged commit, from enqueue to its end on the record, against the same task without
 * code, in turn, in one run. And the first task at a new commit of a remote on this machine, which fetches. Aim: with a kept
 * environment together at most 150 ms.
 *
 *   npx tsx bench/git.ts [--tasks N] [--files 50,200,1000]
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { TaskSpec } from "../protocol/index.js";
import { median, processorSeconds, report, startFleet } from "./fleet.js";

const { values } = parseArgs({
  options: { tasks: { type: "string", default: "25" }, files: { type: "string", default: "50,200,1000" } },
});
await using fleet = await startFleet({ slots: 1 });
const rows = [];
for (const files of values.files.split(",").map(Number)) {
  const url = join(fleet.folder, `code-${files}`);
  const first = commitFiles(url, files);
  const cold = await lasted({ git: { url, commit: first } });
  const newer = commitFiles(url, files, "changed");
  const fetched = await lasted({ git: { url, commit: newer } });
  const [bare, warm]: [number[], number[]] = [[], []];
  const used = { bare: 0, warm: 0 };
  for (let i = 0; i < Number(values.tasks); i++) {
    used.bare += await costOf(async () => bare.push(await lasted({})));
    used.warm += await costOf(async () => warm.push(await lasted({ git: { url, commit: newer } })));
  }
  rows.push({
    files,
    "no code ms": round(median(bare)),
    "git ms": round(median(warm)),
    "git adds ms": round(median(warm) - median(bare)),
    "of processor ms": round(((used.warm - used.bare) / Number(values.tasks)) * 1_000),
    "first of all ms": round(cold),
    "new commit ms": round(fetched),
  });
}
await report("git", rows, { tasks: Number(values.tasks), server: fleet.serverVersion });

/** Processor time of the agent, in seconds: what other work on the machine does not change. */
async function costOf(act: () => Promise<unknown>): Promise<number> {
  const before = await processorSeconds(fleet.agent.pid ?? 0);
  await act();
  return (await processorSeconds(fleet.agent.pid ?? 0)) - before;
}

async function lasted(spec: Partial<TaskSpec>): Promise<number> {
  const { tasks } = fleet.navvy;
  const { id } = await tasks.create({ name: "true", spec: { command: ["/bin/true"], ...spec } });
  const started = performance.now();
  await tasks.enqueue(id, { queue: "default" });
  const { status, outcome } = await tasks.wait(id);
  if (status !== "completed") throw new Error(outcome?.reason ?? status);
  return performance.now() - started;
}

function commitFiles(folder: string, files: number, word = "first"): string {
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.org", ...args], { cwd: folder, encoding: "utf8" });
  mkdirSync(folder, { recursive: true });
  git("init", "-q");
  for (let i = 0; i < files; i++) {
    mkdirSync(join(folder, `d${i % 20}`), { recursive: true });
    writeFileSync(join(folder, `d${i % 20}`, `f${i}.py`), `${"x = 1\n".repeat(300)}# ${i}\n`);
  }
  writeFileSync(join(folder, "word"), word);
  git("add", "-A");
  git("commit", "-q", "-m", word);
  return git("rev-parse", "HEAD").trim();
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
