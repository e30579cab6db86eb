import type { Call, Handler } from "../../call.js";
import { shortId } from "../../output/words.js";
import { TASK_VIEW } from "../task/view.js";

/** `navvy schedule run SCHEDULE` */
export const run: Handler<[string]> = async (call, name) => {
  const { task, firing } = await (await call.navvy()).schedules.runNow(name);
  if (task) return call.out.show(TASK_VIEW, task, () => `${task.id}  ${task.name}  queued on ${task.queue}`);
  say(call, name, `run ${firing.run} waits for the last one to end`);
};

/** `navvy schedule pause SCHEDULE` */
export const pause: Handler<[string], { reason: string }> = async (call, name) => {
  await (await call.navvy()).schedules.pause(name, call.options.reason);
  say(call, name, "paused; what runs goes on");
};

/** `navvy schedule resume SCHEDULE` */
export const resume: Handler<[string]> = async (call, name) => {
  await (await call.navvy()).schedules.resume(name);
  say(call, name, "resumed");
};

/** `navvy schedule rm SCHEDULE` */
export const remove: Handler<[string]> = async (call, name) => {
  const { schedules } = await call.navvy();
  const { last } = (await schedules.get(name)).state;
  await schedules.delete(name);
  say(call, name, `removed${last ? `; its tasks stay, the last one is ${shortId(last.task)}` : ""}`);
};

function say(call: Call<unknown>, name: string, done: string): void {
  call.out.show({ kind: "schedule-change", name: () => name }, { name, done }, () => `${name}  ${done}`);
}
