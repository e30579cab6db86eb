import { PipelineRun } from "../../../controller/index.js";
import { isEnded } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { exitCodeOfOutcome } from "../../exit-codes.js";
import { shortId, stateWord } from "../../output/words.js";
import { findTask } from "../../references.js";
import { viewOf } from "./show.js";

/** `navvy pipeline watch RUN`: each change of each step, until the run has ended; its exit code. */
export const watch: Handler<[string]> = async (call, reference) => {
  const { id } = await findTask(call, reference);
  return watchRun(call, await PipelineRun.get(await call.navvy(), id));
};

export async function watchRun(call: Parameters<typeof watch>[0], run: PipelineRun): Promise<number> {
  const navvy = await call.navvy();
  const seen = new Map<string, string>();
  let turn: Promise<void> = Promise.resolve();
  const look = async () => {
    for (const step of (await viewOf(await run.reload())).steps) {
      if (seen.get(step.name) === step.state || (step.state === "pending" && !seen.has(step.name))) continue;
      seen.set(step.name, step.state);
      const task = step.members.length === 1 && step.members[0]?.task ? `  ${shortId(step.members[0].task)}` : "";
      call.out.event("step", step, () => `${step.name}${task}  ${stateWord(step.state)}${step.reason ? `: ${step.reason}` : ""}`);
    }
  };
  const turns = () => void (turn = turn.then(look).catch(() => undefined));
  const bell = navvy.tasks.onChild(run.id, turns);
  const journal = await navvy.journals.of(run.id).watch(turns);
  try {
    await run.wait();
    turns();
    await turn;
    const { status, outcome, name } = run.record;
    call.out.talk(`${name}  ${shortId(run.id)}  ${stateWord(status)}`);
    return isEnded(status) ? exitCodeOfOutcome(outcome) : 1;
  } finally {
    bell.close();
    journal.close();
  }
}
