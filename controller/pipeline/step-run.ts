import type { ParameterValue } from "../../protocol/index.js";
import type { Step } from "../graph/graph.js";
import { isStepOver, type StepState } from "../graph/step-state.js";

/** One task of a step: the only one, or that of one combination of its matrix. */
export interface Member {
  /** Names it in the journal and, with round and try, its task: `train`, `train[2]`. */
  key: string;
  matrix?: Record<string, ParameterValue>;
  state: StepState;
  reason?: string | undefined;
  /** Of its latest task; of a cached one the task that it was taken from. */
  task?: string | undefined;
  round: number;
  tries: number;
}

/** What of a member the journal keeps. */
export type MemberNote = Pick<Member, "state" | "reason" | "task" | "round" | "tries">;

/** A step on its way. */
export class StepRun {
  readonly step: Step;
  readonly isFinally: boolean;
  readonly parents: StepRun[] = [];
  readonly children: StepRun[] = [];
  /** Parents that are not over yet. */
  open = 0;
  state: StepState = "pending";
  reason: string | undefined;
  members: Member[] = [];
  /** It failed, or can not run because one before it did. */
  isBroken = false;

  constructor(step: Step, isFinally: boolean) {
    this.step = step;
    this.isFinally = isFinally;
  }

  get name(): string {
    return this.step.name;
  }
  get isOver(): boolean {
    return isStepOver(this.state);
  }
  /** Whether its failure is the pipeline's. */
  get failsPipeline(): boolean {
    return (this.state === "failed" || this.state === "aborted") && this.step.onFailure === "stop";
  }
}

/** What of its members stands for the step. */
export function stateOfMembers(members: Member[]): Pick<Member, "state" | "reason"> {
  const worst = members.find(({ state }) => state === "failed") ?? members.find(({ state }) => state === "aborted");
  if (worst) return { state: worst.state, reason: worst.reason };
  const skipped = members.find(({ state }) => state === "skipped");
  if (members.length > 0 && members.every(({ state }) => state === "skipped")) return { state: "skipped", reason: skipped?.reason };
  return { state: members.length > 0 && members.every(({ state }) => state === "cached") ? "cached" : "completed" };
}
