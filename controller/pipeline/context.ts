import type { Navvy } from "../../broker/index.js";
import type { TaskRecord } from "../../protocol/index.js";
import type { StepState } from "../graph/step-state.js";
import type { Report } from "../report.js";
import type { Activity } from "./activity.js";
import type { Children } from "./children.js";
import type { Gate } from "./gate.js";
import type { Launcher } from "./launch.js";
import type { Notebook } from "./notebook.js";
import type { Plan } from "./plan.js";
import type { StepCache } from "./step-cache.js";
import type { Member, StepRun } from "./step-run.js";
import type { Views } from "./views.js";

/** What a program does around its steps; each may be a promise. */
export interface StepHooks {
  /** Before a step's task is made; false skips the step. */
  preExecute?: (step: HookedStep) => unknown;
  /** Once its task has ended, however it did. */
  postExecute?: (step: HookedStep) => unknown;
  /** At each change of its state. */
  onStatusChange?: (step: HookedStep, before: StepState) => unknown;
}

/** A step as its hooks see it. */
export interface HookedStep {
  name: string;
  state: StepState;
  /** Id of its task, once it has one. */
  task: string | undefined;
  matrix: Member["matrix"];
  reason: string | undefined;
}

/** All that the parts of a run share. */
export interface Context {
  navvy: Navvy;
  /** The controller's own task. */
  own: { record: TaskRecord; report: Report };
  plan: Plan;
  notebook: Notebook;
  views: Views;
  launcher: Launcher;
  children: Children;
  /** Whether it only waits. */
  activity: Activity;
  cache: StepCache;
  /** So many tasks are made at the same time. */
  gate: Gate;
  hooks: ReadonlyMap<string, StepHooks>;
  /** How often the whole task was begun anew (`navvy task reset`). */
  round: number;
  /** Fires when nothing more is to begin and what runs is to end. */
  stop: AbortSignal;
}

export function hooked(run: StepRun, member: Member): HookedStep {
  return { name: run.name, state: member.state, task: member.task, matrix: member.matrix, reason: member.reason };
}
