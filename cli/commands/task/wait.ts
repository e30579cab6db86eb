import { isNavvyError, type Navvy } from "../../../broker/index.js";
import type { TaskRecord } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { EXIT, exitCodeOfOutcome } from "../../exit-codes.js";
import { describeError } from "../../output/errors.js";
import { outcomeWords } from "../../output/outcome.js";
import { shortId, stateWord } from "../../output/words.js";
import { findTask } from "../../references.js";
import { stateOf, TASK_VIEW } from "./view.js";

interface WaitOptions {
  any?: boolean;
  timeout?: number;
  exitZero?: boolean;
}

/** `navvy wait TASK…`: the exit code of the first task that did not end well, or 0. */
export const wait: Handler<[string[]], WaitOptions> = async (call, references) => {
  const navvy = await call.navvy();
  const tasks = await Promise.all(references.map((reference) => findTask(call, reference)));
  const { any, timeout, exitZero } = call.options;
  try {
    const ended = await waitFor(navvy, tasks, { isAny: any ?? false, timeoutMs: timeout });
    // One document on stdout, of a form that hangs on what was asked alone.
    if (tasks.length > 1 && call.out.format === "json") call.out.list(TASK_VIEW, ended);
    else for (const task of ended) call.out.show(TASK_VIEW, task, () => endLine(task));
    return exitZero ? EXIT.ok : (ended.map((task) => exitCodeOfOutcome(task.outcome)).find((code) => code !== 0) ?? EXIT.ok);
  } catch (error) {
    if (timeout === undefined || !isNavvyError(error, "timeout")) throw error;
    call.out.talk(describeError(error));
    return EXIT.timeout;
  }
};

async function waitFor(
  navvy: Navvy,
  tasks: TaskRecord[],
  options: { isAny: boolean; timeoutMs: number | undefined },
): Promise<TaskRecord[]> {
  const stop = new AbortController();
  const limits = { signal: stop.signal, ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }) };
  const waits = tasks.map((task) => navvy.tasks.wait(task.id, limits));
  try {
    return options.isAny ? [await Promise.race(waits)] : await Promise.all(waits);
  } finally {
    stop.abort();
    await Promise.allSettled(waits);
  }
}

/** `9F3K2Q train ✔ completed: exited 0` */
export function endLine(task: TaskRecord): string {
  return `${shortId(task.id)}  ${task.name}  ${stateWord(stateOf(task))}${task.outcome ? `: ${outcomeWords(task.status, task.outcome)}` : ""}`;
}
