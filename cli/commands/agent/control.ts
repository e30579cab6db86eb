import { setTimeout as delay } from "node:timers/promises";
import type { Navvy } from "../../../broker/index.js";
import { type AgentVerb, NavvyError } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import type { AgentControlOptions } from "../agent.js";

/** How often a drained agent is asked whether anything still runs. */
const ASK_EVERY_MS = 1_000;
/** A new agent starts in a second or two; settling what just ended may take ten more. */
const UPGRADE_MS = 60_000;
const ASK_AGAIN_MS = 200;

/** `navvy agent drain NAME [--wait]` */
export const drain: Handler<[string], AgentControlOptions> = async (call, name) => {
  await tell(call, name, "drain");
  if (call.options.wait) await untilIdle(await call.navvy(), name);
  say(call, name, call.options.wait ? "drained: nothing runs there" : "draining: takes no new work, finishes what runs");
};

/** `navvy agent resume NAME` */
export const resume: Handler<[string], AgentControlOptions> = async (call, name) => {
  await tell(call, name, "resume");
  say(call, name, "takes work again");
};

/** `navvy agent stop NAME [--now]` */
export const stop: Handler<[string], AgentControlOptions> = async (call, name) => {
  await tell(call, name, "stop");
  say(call, name, call.options.now ? "gives its tasks back and leaves" : "finishes what runs, then leaves");
};

/** `navvy agent upgrade NAME`: resolves when the new one answers. */
export const upgrade: Handler<[string], AgentControlOptions> = async (call, name) => {
  const navvy = await call.navvy();
  const before = await tell(call, name, "upgrade");
  const until = performance.now() + UPGRADE_MS;
  while (performance.now() < until) {
    await delay(ASK_AGAIN_MS);
    const reply = await navvy.fleet.ask(name, "ping", { timeoutMs: ASK_EVERY_MS });
    if (!reply?.ok || reply.data?.pid === before.pid) continue;
    return say(
      call,
      name,
      `restarted under ${String(before.running)} running tasks: navvy ${String(reply.data?.version)}, process ${String(reply.data?.pid)}`,
    );
  }
  throw new NavvyError("timeout", `agent ${name} has handed over, and no new one answers`, {
    why: "the service manager that runs it did not start it again, or it can not start",
    fix: "start it there with the same name and work dir: it adopts what runs",
  });
};

/** `navvy agent rm NAME` */
export const remove: Handler<[string]> = async (call, name) => {
  await (await call.navvy()).fleet.remove(name);
  say(call, name, "forgotten");
};

async function tell(call: Call<AgentControlOptions>, name: string, verb: AgentVerb): Promise<Record<string, unknown>> {
  const navvy = await call.navvy();
  const { record, isUp } = await navvy.fleet.agent(name);
  const { reason, now } = call.options;
  const reply = await navvy.fleet.ask(record.name, verb, {
    ...(reason === undefined ? {} : { reason }),
    ...(now === undefined ? {} : { now }),
    timeoutMs: 5_000,
  });
  if (reply?.ok) return reply.data ?? {};
  if (!reply) throw silent(name, isUp);
  throw new NavvyError("conflict", `agent ${name} refuses to ${verb}: ${reply.message ?? reply.code ?? "no reason given"}`, {
    fix: `navvy agent show ${name}`,
  });
}

function silent(name: string, isUp: boolean): NavvyError {
  return isUp
    ? new NavvyError("timeout", `agent ${name} does not answer`, {
        why: "its session lives, so it is frozen or cut off just now",
        fix: `navvy agent show ${name}`,
      })
    : new NavvyError("not_found", `agent ${name} is not up`, {
        why: "its session has ended; its tasks went back to their queues",
        fix: `navvy agent rm ${name}`,
      });
}

async function untilIdle(navvy: Navvy, name: string): Promise<void> {
  for (;;) {
    const views = await navvy.fleet.agents({ ask: true });
    const view = views.find((each) => each.record.name === name);
    if (!view?.isUp || view.beat?.running.length === 0) return;
    await delay(ASK_EVERY_MS);
  }
}

function say(call: Call<unknown>, name: string, done: string): void {
  call.out.show({ kind: "agent-change", name: () => name }, { name, done }, () => `${name}  ${done}`);
}
