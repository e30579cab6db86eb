import type { Outcome, TaskRecord } from "../../protocol/index.js";
import type { Retry, RetryCause } from "../graph/graph.js";
import type { StepState } from "../graph/step-state.js";

const MAX_BACKOFF_MS = 10 * 60_000;

/** What an ended task makes of its step. */
export function judged({ status, outcome, reason }: TaskRecord): { state: StepState; reason?: string; cause?: RetryCause } {
  if (status === "completed" || status === "published") return { state: "completed" };
  if (status === "aborted") return { state: "aborted", reason, cause: "aborted" };
  return { state: "failed", reason, cause: causeOf(outcome) };
}

function causeOf(outcome: Outcome | undefined): RetryCause {
  switch (outcome?.kind) {
    case "setup_failed":
      return "setup";
    case "timed_out":
      return "timeout";
    case "out_of_memory":
      return "out_of_memory";
    case "lost":
      return "lost";
    default:
      return "failed";
  }
}

/** How long to wait before another try; undefined: there is none. */
export function retryDelay(retry: Retry | undefined, tries: number, cause: RetryCause | undefined): number | undefined {
  if (!retry || cause === undefined || tries > retry.limit || !retry.on.includes(cause)) return undefined;
  return Math.min(retry.backoffMs * 2 ** (tries - 1), MAX_BACKOFF_MS);
}
