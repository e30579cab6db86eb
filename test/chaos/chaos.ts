import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../support/eventually.js";
import { judge } from "./check/judge.js";
import { judgeMachine } from "./check/leftovers.js";
import { readMarks } from "./check/marks.js";
import { readLeft } from "./check/read.js";
import { openFleet } from "./fleet.js";
import { type PlanOptions, planOf } from "./plan.js";
import { processesOf } from "./processes.js";
import { histories, type Summary, tables } from "./report.js";
import { allUp, leaveAll, play, type Say } from "./round.js";
import { Sampler } from "./sampler.js";

export interface Result {
  summary: Summary;
  /** Tables of faults, tasks, attempts and violations. */
  tables: string;
  /** What went wrong, in full; empty when nothing did. */
  histories: string;
  /** Where the agents' logs and the marks are: kept when something went wrong. */
  folder: string;
}

/** After the last agent has left, what it killed may need a moment to be gone. */
const GRACE_MS = 3_000;

/** One round: break a real fleet as the seed says, let it heal, and judge what is left from outside. */
export async function chaos(options: PlanOptions, { say, signal }: { say: Say; signal?: AbortSignal }): Promise<Result> {
  const startedMs = performance.now();
  const plan = planOf(options);
  const fleet = await openFleet({ agents: options.agents, leaseMs: options.leaseMs });
  const sampler = new Sampler(fleet.run);
  const agents = fleet.agents.map((agent) => agent.options.name);
  let isClean = false;
  try {
    for (const agent of fleet.agents) agent.start();
    await eventually("every agent is up", () => allUp(fleet), { timeoutMs: 30_000 });
    const done = await Promise.race([play(fleet, plan, say), interruption(signal)]);
    await leaveAll(fleet);
    await delay(GRACE_MS);
    sampler.stop();
    const machine = judgeMachine({ run: fleet.run, folder: fleet.folder, agents });
    const left = await readLeft(fleet.nats.url);
    const judged = await judge({ tasks: done.tasks, left, marks: readMarks(fleet.marksFile), overlaps: sampler.overlaps });
    await left.close();
    const violations = [...judged.violations, ...machine];
    isClean = violations.length === 0;
    const seconds = (performance.now() - startedMs) / 1000;
    const summary = {
      plan,
      done,
      cases: judged.cases,
      violations,
      sampler,
      agents: fleet.agents,
      serverVersion: fleet.nats.version,
      seconds,
    };
    return { summary, tables: tables(summary), histories: histories(summary), folder: fleet.folder };
  } finally {
    sampler.stop();
    await Promise.all(fleet.agents.map((agent) => agent.kill()));
    endAll(fleet.run);
    await fleet.close({ keepFolder: !isClean });
  }
}

/** Rejects when the round is to be given up. */
async function interruption(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("interrupted")), { once: true }));
}

/** Nothing of a round outlives it, whatever went wrong in it. */
function endAll(run: string): void {
  for (const { pid } of processesOf(run)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself in between.
    }
  }
}
