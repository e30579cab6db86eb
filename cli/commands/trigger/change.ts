import type { Call, Handler } from "../../call.js";

/** `navvy trigger pause TRIGGER` */
export const pause: Handler<[string], { reason: string }> = async (call, name) => {
  await (await call.navvy()).triggers.pause(name, call.options.reason);
  say(call, name, "paused; what runs goes on");
};

/** `navvy trigger resume TRIGGER` */
export const resume: Handler<[string]> = async (call, name) => {
  await (await call.navvy()).triggers.resume(name);
  say(call, name, "resumed");
};

/** `navvy trigger rm TRIGGER` */
export const remove: Handler<[string]> = async (call, name) => {
  await (await call.navvy()).triggers.delete(name);
  say(call, name, "removed; its tasks stay");
};

function say(call: Call<unknown>, name: string, done: string): void {
  call.out.show({ kind: "trigger-change", name: () => name }, { name, done }, () => `${name}  ${done}`);
}
