import { figure, parameterText, Sweep, type TrialView } from "../../../controller/index.js";
import { isNavvyError } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { EXIT } from "../../exit-codes.js";

/** `navvy sweep execute`: the program of a sweep's task. */
export const execute: Handler = async (call) => {
  try {
    const { best, reason, isFailed } = await Sweep.execute({ onTrial: (trial) => call.out.line(trialLine(trial)) });
    call.out.line(`over: ${reason}`);
    if (best) call.out.line(`best: ${trialLine(best)}`);
    if (isFailed) call.out.talk(`the sweep failed: ${reason}`);
    return isFailed ? EXIT.failed : EXIT.ok;
  } catch (error) {
    if (!isNavvyError(error, "aborted")) throw error;
    call.out.talk(`${error.message}: ${error.why}`);
    return EXIT.terminated;
  }
};

function trialLine({ number, task, state, value, parameters, why }: TrialView): string {
  const words = Object.entries(parameters).map(([path, each]) => `${path}=${parameterText(each)}`);
  return `trial ${number} ${task.slice(-6)} ${state} ${value === undefined ? "—" : figure(value)}  ${words.join(" ")}${why ? `  (${why})` : ""}`;
}
