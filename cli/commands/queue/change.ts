import { NavvyError, type OnDisconnect } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import { count, shortId } from "../../output/words.js";
import { findTask } from "../../references.js";
import type { QueueMoveOptions } from "../queue.js";
import { TASK_VIEW } from "../task/view.js";

interface OnDisconnectOptions {
  onDisconnect?: OnDisconnect;
}

/** `navvy queue create QUEUE` */
export const create: Handler<[string], OnDisconnectOptions> = async (call, name) => {
  await (await call.navvy()).queues.create(name, { onDisconnect: call.options.onDisconnect });
  say(call, { name }, "created");
};

/** `navvy queue edit QUEUE` */
export const edit: Handler<[string], OnDisconnectOptions> = async (call, name) => {
  const { onDisconnect } = call.options;
  if (onDisconnect === undefined)
    throw new NavvyError("invalid_argument", "nothing was said to change", { fix: `navvy queue edit ${name} --on-disconnect freeze` });
  await (await call.navvy()).queues.setOnDisconnect(name, onDisconnect);
  say(call, { name }, `when a task's agent is cut off: ${onDisconnect}, from the next claim on`);
};

/** `navvy queue pause QUEUE` */
export const pause: Handler<[string], { reason: string }> = async (call, name) => {
  await (await call.navvy()).queues.pause(name, call.options.reason);
  say(call, { name }, "paused; what runs goes on");
};

/** `navvy queue resume QUEUE` */
export const resume: Handler<[string]> = async (call, name) => {
  await (await call.navvy()).queues.resume(name);
  say(call, { name }, "resumed");
};

/** `navvy queue move TASK --class CLASS | --to QUEUE` */
export const move: Handler<[string], QueueMoveOptions> = async (call, reference) => {
  const navvy = await call.navvy();
  const { class: wanted, to } = call.options;
  if (wanted === undefined && to === undefined)
    throw new NavvyError("invalid_argument", "nothing was said about where to", { fix: `navvy queue move ${reference} --class front` });
  const found = await findTask(call, reference);
  const task = await navvy.tasks.move(found.id, { ...(wanted ? { class: wanted } : {}), ...(to ? { queue: to } : {}) });
  call.out.show(TASK_VIEW, task, () => `${shortId(task.id)}  ${task.name}  ${task.reason}`);
};

/** `navvy queue clear QUEUE` */
export const clear: Handler<[string]> = async (call, name) => {
  const cleared = await (await call.navvy()).tasks.clearQueue(name);
  say(call, { name, cleared }, `cleared: ${count(cleared, "task")} back to draft`);
};

/** `navvy queue rm QUEUE` */
export const remove: Handler<[string], { force?: boolean }> = async (call, name) => {
  const cleared = await (await call.navvy()).tasks.removeQueue(name, { force: call.options.force ?? false });
  say(call, { name, cleared }, `removed${cleared > 0 ? `; ${count(cleared, "task")} back to draft` : ""}`);
};

function say(call: Call<unknown>, done: { name: string; cleared?: number }, text: string): void {
  call.out.show({ kind: "queue-change", name: () => done.name }, { ...done, done: text }, () => `${done.name}  ${text}`);
}
