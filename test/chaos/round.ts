import { setTimeout as delay } from "node:timers/promises";
import { isEnded, isNavvyError, type TaskRecord } from "../../protocol/index.js";
import { inject } from "./faults.js";
import type { Fleet } from "./fleet.js";
import type { FaultKind, Plan, PlannedFault, PlannedTask } from "./plan.js";
import { abort, makeTemplate, patiently, type SubmittedTask, submit } from "./submit.js";

/** What was done in a round, as those who did it know it. */
export interface Done {
  tasks: SubmittedTask[];
  faults: { fault: PlannedFault; at: string }[];
  /** Planned for a target that an earlier fault, longer than planned, still held. */
  skipped: Partial<Record<FaultKind, number>>;
}

/** Says what goes on, for people. */
export type Say = (line: string) => void;

const SETTLES_WITHIN_MS = 240_000;

/** Submits and breaks as planned; resolves when every fault is mended and every task has ended or had time enough to. */
export async function play(fleet: Fleet, plan: Plan, say: Say): Promise<Done> {
  const done: Done = { tasks: [], faults: [], skipped: {} };
  const template = await makeTemplate(fleet);
  const startMs = performance.now();
  const until = (atMs: number) => delay(Math.max(0, startMs + atMs - performance.now()));
  const submitting = plan.tasks.map(async (planned) => {
    await until(planned.atMs);
    await follow(fleet, planned, { template, done });
  });
  const busy = new Set<string>();
  const breaking = plan.faults.map(async (fault) => {
    await until(fault.atMs);
    await breakOnce(fleet, fault, { busy, done, say });
  });
  await Promise.all([...submitting, ...breaking]);
  say(`${done.faults.length} faults are over, ${done.tasks.length} tasks submitted; waiting for all to end`);
  for (const agent of fleet.agents) agent.start();
  await settled(fleet, say);
  return done;
}

async function follow(fleet: Fleet, planned: PlannedTask, { template, done }: { template: string; done: Done }): Promise<void> {
  const task = await submit(fleet, planned, template);
  done.tasks.push(task);
  if (planned.abortAfterMs === undefined) return;
  await delay(planned.abortAfterMs);
  await abort(fleet, task);
}

async function breakOnce(
  fleet: Fleet,
  fault: PlannedFault,
  { busy, done, say }: { busy: Set<string>; done: Done; say: Say },
): Promise<void> {
  const target = fault.kind.startsWith("server")
    ? "server"
    : `${fault.kind.split(" ")[0] === "link" ? "link" : "agent"} ${fault.agent + 1}`;
  if (busy.has(target)) {
    done.skipped[fault.kind] = (done.skipped[fault.kind] ?? 0) + 1;
    return;
  }
  busy.add(target);
  done.faults.push({ fault, at: new Date().toISOString() });
  say(`${fault.kind} (${target}, ${(fault.forMs / 1000).toFixed(1)} s)`);
  try {
    await inject(fleet, fault);
  } finally {
    busy.delete(target);
  }
}

async function settled(fleet: Fleet, say: Say): Promise<void> {
  const deadlineMs = performance.now() + SETTLES_WITHIN_MS;
  let toldMs = performance.now();
  for (;;) {
    const open = (await patiently(() => fleet.navvy.tasks.list())).filter(isOpen);
    if (open.length === 0) return;
    if (performance.now() > deadlineMs) return say(`${open.length} tasks have not ended after ${SETTLES_WITHIN_MS / 1000} s`);
    if (performance.now() > toldMs + 10_000) {
      say(`${open.length} tasks are still on their way`);
      toldMs = performance.now();
    }
    await delay(500);
  }
}

const isOpen = (task: TaskRecord) => task.status !== "draft" && !isEnded(task.status);

/** Every agent leaves in good order; what it ran has ended. */
export async function leaveAll(fleet: Fleet): Promise<void> {
  await Promise.all(fleet.agents.map((agent) => agent.leave({ atOnce: false })));
}

/** Whether a client sees an agent's session: it is up and serves. */
export async function allUp(fleet: Fleet): Promise<boolean> {
  try {
    const views = await fleet.navvy.fleet.agents();
    return fleet.agents.every((agent) => views.some((view) => view.record.name === agent.options.name && view.isUp));
  } catch (error) {
    if (isNavvyError(error)) return false;
    throw error;
  }
}
