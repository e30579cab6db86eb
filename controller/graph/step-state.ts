/**
 * States of a step. `waiting`: for a person's approval, or for the time before a retry. `cached` and `completed` are successes;
 * a `skipped` one never ran.
 */
export const STEP_STATES = ["pending", "waiting", "queued", "running", "completed", "cached", "failed", "aborted", "skipped"] as const;
export type StepState = (typeof STEP_STATES)[number];

export function isStepOver(state: StepState): boolean {
  return state === "completed" || state === "cached" || state === "failed" || state === "aborted" || state === "skipped";
}
