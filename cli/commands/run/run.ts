import { type AgentView, DEFAULT_PROJECT, type Navvy } from "../../../broker/index.js";
import { DEFAULT_GRACE_MS, NavvyError, TaskSpec } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import { EXIT, exitCodeOfOutcome } from "../../exit-codes.js";
import { needsAsAsked, needsWords } from "../../output/needs.js";
import { shortId } from "../../output/words.js";
import { obstacleAt } from "../../why-fit.js";
import type { RunOptions } from "../run.js";
import { gitSpecOf } from "../task/git-spec.js";
import { createTask } from "../task/make.js";
import { commandOf, labelsOf, nameOf, plainSpecOf } from "../task/spec.js";
import { TASK_VIEW } from "../task/view.js";
import { followRun } from "./follow.js";

/** `navvy run -- COMMAND`: exits with the task's own code. */
export const run: Handler<[string[]], RunOptions> = async (call, words) => {
  const { options, out } = call;
  const command = commandOf(words, options);
  if (command === undefined) throw new NavvyError("invalid_argument", "there is nothing to run", { fix: "navvy run -- COMMAND [args]" });
  if (options.dryRun) return dryRun(call, command);
  const navvy = await call.navvy();
  // A slip in the queue's name is told before a draft is left behind.
  await navvy.queues.require(options.queue, { create: options.createQueue ?? false });
  if (options.requireAgent) await requireAgent(call, navvy, words);
  const draft = await createTask(call, words);
  if (options.draft) return out.show(TASK_VIEW, draft, () => draft.id);
  const task = await navvy.tasks.enqueue(draft.id, {
    queue: options.queue,
    class: options.class,
    createQueue: options.createQueue ?? false,
  });
  if (options.detach) {
    out.talk(`◌ queued   ${task.name} (${shortId(task.id)}) → ${options.queue}      follow it: navvy logs ${shortId(task.id)} -f`);
    return out.show(TASK_VIEW, task, () => task.id);
  }
  const ended = await followRun(call, task);
  if (ended === "detached") return EXIT.interrupted;
  if (out.isData) out.show(TASK_VIEW, ended, () => "");
  return options.exitZero ? EXIT.ok : exitCodeOfOutcome(ended.outcome);
};

/** The document as it would be made; nothing is uploaded and nothing written. */
async function dryRun(call: Call<RunOptions>, command: string[]): Promise<void> {
  const { options } = call;
  const { timeout, grace, code, input } = options;
  const graceMs = grace ?? (timeout === undefined ? undefined : Math.min(timeout, DEFAULT_GRACE_MS));
  const git = await gitSpecOf(call, { upload: false });
  const spec = TaskSpec.parse({ ...plainSpecOf({ ...options, grace: graceMs }, command), ...git, command, graceMs });
  const task = {
    name: nameOf(command),
    project: DEFAULT_PROJECT,
    ...labelsOf(options),
    queue: options.queue,
    class: options.class,
    parameters: options.param ?? {},
    spec,
  };
  const document = { ...task, ...(code === undefined ? {} : { code }), ...(input ? { inputs: input } : {}) };
  call.out.show({ kind: "new-task", name: () => task.name ?? "" }, document, () => JSON.stringify(document, undefined, 2));
}

/** @throws NavvyError nobody_serves */
async function requireAgent(call: Call<RunOptions>, navvy: Navvy, words: string[]): Promise<void> {
  const { queue } = call.options;
  const agents: AgentView[] = await navvy.fleet.agents();
  const up = agents.filter((view) => view.isUp && view.record.queues.includes(queue));
  if (up.length === 0)
    throw new NavvyError("nobody_serves", `no agent that is up serves queue ${JSON.stringify(queue)}`, {
      fix: [`navvy agent start -q ${queue}`, "or leave out --require-agent: the task then waits"],
    });
  const needs = needsAsAsked(TaskSpec.parse({ command: [], ...plainSpecOf(call.options, words) }));
  const obstacles = up.map((view) => ({ view, obstacle: obstacleAt(view, { needs, queue }) }));
  if (obstacles.some(({ obstacle }) => obstacle.kind !== "too_small")) return;
  throw new NavvyError("nobody_serves", `no agent that is up can run it: it asks for ${needsWords(needs) ?? "a slot"}`, {
    why: obstacles.map(({ view, obstacle }) => `${view.record.name}: ${obstacle.text}`).join("; "),
    fix: ["ask for less", "or leave out --require-agent: the task then waits"],
  });
}
