import { setTimeout as delay } from "node:timers/promises";
import { isNavvyError } from "../../protocol/index.js";
import type { Fleet } from "./fleet.js";
import type { PlannedTask, WorkPlan } from "./plan.js";

const RETRY_MS = 250;

/** A task that was wished for, as the one who wished knows it. */
export interface SubmittedTask {
  id: string;
  planned: PlannedTask;
  /** Whether its abort was taken; a task that had ended by then refuses. */
  abort?: "taken" | "too late";
}

/** Repeats what fails because the server is away, as a patient client would. */
export async function patiently<T>(act: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (isNavvyError(error) && !error.retryable) throw error;
      await delay(RETRY_MS);
    }
  }
}

/** Creates and enqueues; created again under the same key it is the same task. */
export async function submit(fleet: Fleet, planned: PlannedTask, template: string): Promise<SubmittedTask> {
  const isController = planned.work.kind === "controller";
  const command = isController ? ["node", fleet.programs.controller] : ["python3", "-S", fleet.programs.worker];
  const parameters = { "General/children": planned.work.children, "General/template": template };
  const { id } = await patiently(() =>
    fleet.navvy.tasks.create({
      name: `${planned.work.kind} ${planned.key}`,
      project: "chaos",
      key: `${fleet.run}.${planned.key}`,
      ...(isController ? { taskType: "controller", parameters } : {}),
      spec: { ...planned.spec, command, env: envOf(fleet, planned.work) },
    }),
  );
  const queue = isController ? "services" : "default";
  if (planned.losesSubmitter) await recordOnly(fleet, id, queue);
  else await patiently(() => enqueue(fleet, id, queue));
  return { id, planned };
}

function envOf(fleet: Fleet, work: WorkPlan): Record<string, string> {
  return { ...fleet.taskEnv, CHAOS_PLAN: JSON.stringify(work) };
}

/** A time-out does not say whether it was done: then the second try finds it on its way. */
async function enqueue(fleet: Fleet, id: string, queue: string): Promise<void> {
  try {
    await fleet.navvy.tasks.enqueue(id, { queue });
  } catch (error) {
    if (!isNavvyError(error, "illegal_move")) throw error;
  }
}

/** What a client leaves that dies between its two writes: a queued record without a message. */
async function recordOnly(fleet: Fleet, id: string, queue: string): Promise<void> {
  await patiently(() => fleet.navvy.queues.require(queue, { create: true }));
  await patiently(() =>
    fleet.navvy.tasks.bucket.modify(id, (task) =>
      task.status === "draft" ? { ...task, status: "queued", ticket: 1, queue, enqueuedAt: new Date().toISOString() } : undefined,
    ),
  );
}

/** The draft that controllers clone their children from. */
export async function makeTemplate(fleet: Fleet): Promise<string> {
  const work: WorkPlan = {
    ...{ kind: "child", seed: 1, seconds: 1, exits: 0, ignoresTerm: false },
    ...{ bytes: 0, points: 0, files: 0, children: 0 },
  };
  const spec = { command: ["python3", "-S", fleet.programs.worker], env: envOf(fleet, work), lostLimit: 1_000 };
  const { id } = await patiently(() => fleet.navvy.tasks.create({ name: "child template", project: "chaos", spec }));
  return id;
}

/** Wishes for a task's end. */
export async function abort(fleet: Fleet, task: SubmittedTask): Promise<void> {
  try {
    await patiently(() => fleet.navvy.tasks.abort(task.id, { reason: "chaos wished it" }));
    task.abort = "taken";
  } catch (error) {
    if (!isNavvyError(error, "illegal_move")) throw error;
    task.abort = "too late";
  }
}
