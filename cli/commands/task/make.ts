import { InvalidArgumentError } from "commander";
import { NavvyError, type ParameterValue, type TaskRecord } from "../../../protocol/index.js";
import { collectParameter } from "../../arguments.js";
import type { Call, Handler } from "../../call.js";
import { shortId } from "../../output/words.js";
import { findTask } from "../../references.js";
import type { TaskOptions } from "../task-options.js";
import { labelsOf, nameOf, specOf } from "./spec.js";
import { usualQueue } from "./usual-queue.js";
import { TASK_VIEW } from "./view.js";

interface CloneOptions extends TaskOptions {
  enqueue?: boolean;
  queue?: string;
}

/** `navvy task create [-- COMMAND]` */
export const create: Handler<[string[]], TaskOptions> = async (call, words) => {
  const task = await createTask(call, words);
  say(call, task, "created as a draft");
};

/** A new draft from flags and command; used by `run` too. */
export async function createTask(call: Call<TaskOptions>, words: string[]): Promise<TaskRecord> {
  const navvy = await call.navvy();
  const spec = await specOf(call, words);
  const name = call.options.name ?? nameOf(spec.command);
  if (name === undefined)
    throw new NavvyError("invalid_argument", "a task needs a name or a command", { fix: "navvy task create -n NAME -- COMMAND …" });
  const command = spec.command ?? [];
  return navvy.tasks.create({ ...labelsOf(call.options), name, spec: { ...spec, command }, parameters: call.options.param ?? {} });
}

/** `navvy task clone TASK [-- COMMAND]` */
export const clone: Handler<[string, string[]], CloneOptions> = async (call, reference, words) => {
  const navvy = await call.navvy();
  const { param, queue, enqueue } = call.options;
  const template = await findTask(call, reference);
  const overrides = { ...labelsOf(call.options), spec: await specOf(call, words, template.spec), ...(param ? { parameters: param } : {}) };
  const task = await navvy.tasks.clone(template.id, overrides);
  if (!enqueue && queue === undefined) return say(call, task, `cloned from ${shortId(template.id)} as a draft`);
  const target = queue ?? usualQueue(template);
  say(call, await navvy.tasks.enqueue(task.id, { queue: target }), `cloned from ${shortId(template.id)}, queued on ${target}`);
};

/** `navvy task edit TASK [-- COMMAND]` */
export const edit: Handler<[string, string[]], TaskOptions> = async (call, reference, words) => {
  const navvy = await call.navvy();
  const found = await findTask(call, reference);
  const spec = await specOf(call, words, found.spec);
  const labels = labelsOf(call.options);
  const { param } = call.options;
  if (Object.keys({ ...spec, ...labels, ...param }).length === 0) {
    throw new NavvyError("invalid_argument", "nothing was said to change", { fix: "navvy task edit --help" });
  }
  if (Object.keys({ ...spec, ...labels }).length > 0)
    await navvy.tasks.edit(found.id, (draft) => ({ ...draft, ...labels, spec: { ...draft.spec, ...spec } }));
  if (param) await navvy.tasks.setParameters(found.id, param);
  say(call, await navvy.tasks.get(found.id), "edited");
};

/** `navvy task set TASK Section/name=value…` */
export const set: Handler<[string, string[]]> = async (call, reference, pairs) => {
  const navvy = await call.navvy();
  const found = await findTask(call, reference);
  say(call, await navvy.tasks.setParameters(found.id, parametersOf(pairs)), "parameters set");
};

function parametersOf(pairs: string[]): Record<string, ParameterValue> {
  try {
    return pairs.reduce<Record<string, ParameterValue>>((values, pair) => collectParameter(pair, values), {});
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new NavvyError("invalid_argument", error.message, { fix: "navvy task set TASK General/lr=0.1" });
  }
}

function say(call: Call<unknown>, task: TaskRecord, done: string): void {
  call.out.show(TASK_VIEW, task, () => `${task.id}  ${task.name}  ${done}`);
}
