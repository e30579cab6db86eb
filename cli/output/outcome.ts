import { describeOutcome, type Outcome } from "../../protocol/index.js";
import { once } from "./words.js";

/** An outcome beside its state, without saying the state twice: `completed: exited 0`, `aborted: by hand`. */
export function outcomeWords(state: string, outcome: Outcome): string {
  const words = describeOutcome(outcome);
  return once(state, outcome.kind === state && outcome.reason ? outcome.reason : words);
}
