import { describeOutcome, type TaskRecord } from "../../protocol/index.js";
import type { Objective, SweepConfig } from "./definition.js";
import type { Told } from "./sampler.js";
import { type Assignment, applies } from "./space.js";

/** How a trial stands. `stopped`: by early stop, or because the sweep was over. `aborted`: by a person. */
export type TrialState = "draft" | "queued" | "running" | "completed" | "failed" | "stopped" | "aborted";

/** A trial as it is shown. */
export interface TrialView {
  /** From 1, in the order in which they were proposed. */
  number: number;
  /** Its task's id. */
  task: string;
  state: TrialState;
  parameters: Assignment;
  /** The objective's value so far, and the step that it is from. */
  value?: number | undefined;
  step?: number | undefined;
  /** Why it failed or was stopped. */
  why?: string | undefined;
}

/** How the reason of an abort by the sweep itself begins: that is how it is told from a person's. */
export const STOPPED = "stopped by its sweep: ";

/** What a trial's record says of it. */
export function viewOf(record: TaskRecord, number: number, config: Pick<SweepConfig, "objective" | "space">): TrialView {
  const found = objectiveOf(record, config.objective);
  const state = stateOf(record, found?.value);
  return { number, task: record.id, state, parameters: parametersOf(record, config), ...found, ...whyOf(record, state, config.objective) };
}

function stateOf(record: TaskRecord, value: number | undefined): TrialState {
  const { status, abort } = record;
  if (status === "published") return "completed";
  if (status === "completed") return value !== undefined && Number.isFinite(value) ? "completed" : "failed";
  if (status === "aborted") return abort?.reason.startsWith(STOPPED) ? "stopped" : "aborted";
  return status;
}

function whyOf(record: TaskRecord, state: TrialState, { metric }: Objective): { why?: string } {
  const { abort, outcome, status } = record;
  if (state === "stopped") return { why: abort?.reason.slice(STOPPED.length) ?? "" };
  if (state !== "failed") return {};
  if (status === "completed") {
    const names = Object.keys(record.reported.metrics).filter((name) => !name.startsWith("system/"));
    return { why: names.includes(metric) ? `${metric} is no number` : `it reported no ${metric}; it has: ${names.join(", ") || "none"}` };
  }
  return { why: outcome ? describeOutcome(outcome) : record.reason };
}

function objectiveOf({ reported }: TaskRecord, { metric, of }: Objective): { value: number; step: number } | undefined {
  const figures = Object.hasOwn(reported.metrics, metric) ? reported.metrics[metric] : undefined;
  return figures && { value: figures[of], step: figures[`${of}Step`] };
}

/** What it was given. One that did not apply was given none, though the template may have a value of its own there. */
function parametersOf({ spec }: TaskRecord, { space }: Pick<SweepConfig, "space">): Assignment {
  const found: Assignment = {};
  for (const dimension of space) {
    const { path } = dimension;
    const slash = path.indexOf("/");
    const value = spec.parameters[path.slice(0, slash)]?.[path.slice(slash + 1)];
    if (value !== undefined && applies(dimension, found)) found[path] = value;
  }
  return found;
}

export const isOpen = ({ state }: TrialView) => state === "draft" || state === "queued" || state === "running";

/** As the sampler is told of it. */
export function toldOf({ state, parameters, value, step }: TrialView, { goal }: Objective): Told {
  const isOver = state === "completed" || state === "stopped" || state === "aborted";
  return {
    parameters,
    state: state === "completed" || state === "failed" ? state : isOver ? "stopped" : "running",
    ...(isOver && value !== undefined && Number.isFinite(value) ? { loss: lossOf(value, goal), step } : {}),
  };
}

/** The lower the better. */
export const lossOf = (value: number, goal: Objective["goal"]) => (goal === "max" ? -value : value);

const ORDER: Record<TrialState, number> = { completed: 0, stopped: 1, aborted: 1, running: 2, queued: 3, draft: 3, failed: 4 };

/** Completed trials first, the best before the others; then what was ended before its end, what is under way, what failed. */
export function ranked(trials: TrialView[], { goal }: Objective): TrialView[] {
  const loss = ({ value }: TrialView) => (value === undefined || Number.isNaN(value) ? Number.POSITIVE_INFINITY : lossOf(value, goal));
  const compare = (a: number, b: number) => (a === b ? 0 : a < b ? -1 : 1);
  return [...trials].sort((a, b) => ORDER[a.state] - ORDER[b.state] || compare(loss(a), loss(b)) || a.number - b.number);
}

/** The best completed trial. */
export function bestOf(trials: TrialView[], objective: Objective): TrialView | undefined {
  const [first] = ranked(trials, objective);
  return first?.state === "completed" ? first : undefined;
}
