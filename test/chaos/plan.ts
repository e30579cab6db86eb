import type { TaskSpec } from "../../protocol/index.js";
import { Random } from "./random.js";

/** What `worker.py` is told to do; everything that it reports follows from it. */
export interface WorkPlan {
  kind: TaskKind | "child";
  seed: number;
  seconds: number;
  /** How many of 256 attempts end with exit code 3. */
  exits: number;
  ignoresTerm: boolean;
  bytes: number;
  points: number;
  files: number;
  children: number;
}

export const TASK_KINDS = ["short", "failing", "long", "chatty", "metrics", "artifacts", "forking", "limited", "controller"] as const;
export type TaskKind = (typeof TASK_KINDS)[number];

/** One task that will be wished for, and what will be done to it. Times in milliseconds. */
export interface PlannedTask {
  key: string;
  atMs: number;
  work: WorkPlan & { kind: TaskKind };
  spec: Partial<TaskSpec>;
  /** An abort this long after it was submitted. */
  abortAfterMs?: number;
  /** The one who submits it dies between writing the record and publishing the ticket. */
  losesSubmitter: boolean;
}

export type FaultKind =
  | "agent killed"
  | "agent stopped for a while"
  | "agent told to leave"
  | "agent told to leave at once"
  | "agent drained and resumed"
  | "spawner killed"
  | "link held"
  | "link dropped"
  | "link slow"
  | "server killed"
  | "server stopped for a while"
  | "server restarted";

/** One fault: it begins at `atMs` and is mended `forMs` later. */
export interface PlannedFault {
  kind: FaultKind;
  atMs: number;
  forMs: number;
  /** Which agent, from 0; of no meaning for the server. */
  agent: number;
}

export interface PlanOptions {
  seed: number;
  minutes: number;
  agents: number;
  leaseMs: number;
  tasksPerSecond: number;
  faultsPerMinute: number;
}

/** All that is wished for in one run. The same options give the same wishes; when the machine gets to them is another matter. */
export interface Plan {
  options: PlanOptions;
  tasks: PlannedTask[];
  faults: PlannedFault[];
}

export function planOf(options: PlanOptions): Plan {
  return { options, tasks: planTasks(options), faults: planFaults(options) };
}

const KIND_WEIGHTS: Record<TaskKind, number> = {
  short: 28,
  failing: 12,
  long: 12,
  chatty: 12,
  metrics: 10,
  artifacts: 8,
  forking: 10,
  limited: 3,
  controller: 5,
};

function planTasks({ seed, minutes, tasksPerSecond }: PlanOptions): PlannedTask[] {
  const random = new Random(seed * 2);
  const count = Math.max(1, Math.round(minutes * 60 * tasksPerSecond));
  const tasks = Array.from({ length: count }, (_, i) => planTask(random, { key: `task-${i}`, atMs: random.next() * minutes * 60_000 }));
  return tasks.sort((a, b) => a.atMs - b.atMs);
}

/** Every task draws the same numbers in the same order, so that a change of one kind leaves the others as they were. */
function planTask(random: Random, at: { key: string; atMs: number }): PlannedTask {
  const kind = random.pick(KIND_WEIGHTS);
  const isAborted = random.chance(0.12) && kind !== "controller";
  const [length, size, ignoring, lost, onDisconnect] = [random.next(), random.next(), random.next(), random.next(), random.next()];
  const retries = { limit: 3, backoffMs: random.chance(0.5) ? 0 : 300 };
  const work = {
    kind,
    seed: random.whole(1, 1_000_000),
    seconds:
      kind === "long" || kind === "limited" ? 10 + 20 * length : kind === "short" || kind === "failing" ? 0.4 * length : 1 + 4 * length,
    exits: kind === "failing" ? 200 : kind === "forking" ? 80 : 0,
    ignoresTerm: ignoring < 0.3,
    bytes: Math.round(20_000 + 400_000 * size),
    points: Math.round(50 + 400 * size),
    files: 1 + Math.floor(4 * size),
    children: 2 + Math.floor(3 * size),
  };
  return {
    ...at,
    work,
    spec: {
      retries,
      // What chaos does to machines is no reason to give a task up: every one has to get to its own end.
      lostLimit: 1_000,
      graceMs: Math.round(500 + 1_500 * ignoring),
      ...(kind === "limited" ? { timeLimitMs: 3_000 } : {}),
      ...(onDisconnect < 0.2 ? { onDisconnect: onDisconnect < 0.1 ? "kill" : "continue" } : {}),
    } as Partial<TaskSpec>,
    ...(isAborted ? { abortAfterMs: Math.round(8_000 * random.next()) } : {}),
    losesSubmitter: lost < 0.05,
  };
}

const FAULT_WEIGHTS: Record<FaultKind, number> = {
  "agent killed": 16,
  "agent stopped for a while": 14,
  "agent told to leave": 6,
  "agent told to leave at once": 6,
  "agent drained and resumed": 6,
  "spawner killed": 5,
  "link held": 10,
  "link dropped": 10,
  "link slow": 6,
  "server killed": 5,
  "server stopped for a while": 5,
  "server restarted": 3,
};

/** After a fault its target is left alone until it has come back, so that faults add up across targets and not on one. */
const REST_MS = 4_000;

function planFaults(options: PlanOptions): PlannedFault[] {
  const random = new Random(options.seed * 2 + 1);
  const count = Math.round(options.minutes * options.faultsPerMinute);
  const endMs = options.minutes * 60_000;
  const times = Array.from({ length: count }, () => random.between(Math.min(2_000, endMs), endMs)).sort((a, b) => a - b);
  const freeAtMs = new Map<string, number>();
  return times.flatMap((atMs) => {
    const kind = random.pick(FAULT_WEIGHTS);
    const fault: PlannedFault = { kind, atMs, agent: random.whole(0, options.agents - 1), forMs: lengthOf(kind, random, options.leaseMs) };
    const target = targetOf(fault);
    if ((freeAtMs.get(target) ?? 0) > atMs) return [];
    freeAtMs.set(target, atMs + fault.forMs + REST_MS);
    return [fault];
  });
}

function targetOf({ kind, agent }: PlannedFault): string {
  if (kind.startsWith("server")) return "server";
  return kind.startsWith("link") ? `link ${agent}` : `agent ${agent}`;
}

/** From well within the lease to well beyond it. */
function lengthOf(kind: FaultKind, random: Random, leaseMs: number): number {
  const share = random.next();
  if (kind === "server restarted") return 0;
  if (kind === "spawner killed") return 3_000;
  return Math.round(leaseMs * (0.1 + 2.4 * share));
}
