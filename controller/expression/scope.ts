import type { ParameterValue, TaskRecord } from "../../protocol/index.js";
import type { StepState } from "../graph/step-state.js";

/** A step as expressions see it. */
export interface StepView {
  name: string;
  state: StepState;
  /** The record of its task, once it has one; of a cached step the one that it was taken from. */
  task?: TaskRecord | undefined;
  /** Of a matrix: its members in order. `state` is then theirs together. */
  members?: StepView[] | undefined;
  /** Of a member: its combination. */
  matrix?: Record<string, ParameterValue> | undefined;
}

/** What `${run.…}` gives. */
export interface RunView {
  id: string;
  name: string;
  project: string;
  version: string;
  /** Counted from 1 for each pipeline (project and name). */
  number: number;
  startedAt: string;
  /** From when its time limit counts, where a person had it run again. */
  limitFrom?: string;
}

/** All that an expression can reach. */
export interface Scope {
  /** The pipeline's parameters. */
  params: Record<string, ParameterValue>;
  run: RunView;
  /** The combination that is being filled in. */
  matrix?: Record<string, ParameterValue>;
  /** Its loop's round, from 1. */
  round?: number;
  /** A finished (or skipped) step, undefined for one that is not there. */
  step(name: string): StepView | undefined;
  /** Whether every parent has succeeded, whether one has failed: `success()`, `failure()`. */
  status: { success: boolean; failure: boolean };
  /** Where the task that is being filled in will find an artifact of a step's task; whoever calls it gets the file as an input. */
  pathOf(view: StepView, artifact: string): string;
  /** What `now()` gives, ISO: fixed for a run. */
  now: string;
}
