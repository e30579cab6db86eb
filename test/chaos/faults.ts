import { setTimeout as delay } from "node:timers/promises";
import type { AgentProcess } from "./agent-process.js";
import type { Fleet } from "./fleet.js";
import type { Link } from "./link.js";
import type { FaultKind, PlannedFault } from "./plan.js";

interface Broken {
  fleet: Fleet;
  agent: AgentProcess;
  link: Link;
  forMs: number;
}

/** Each breaks one thing and resolves once that is mended. */
const FAULTS: Record<FaultKind, (broken: Broken) => Promise<void>> = {
  "agent killed": async ({ agent, forMs }) => {
    await agent.kill();
    await delay(forMs);
    agent.start();
  },
  "agent stopped for a while": async ({ agent, forMs }) => {
    agent.signal("SIGSTOP");
    await delay(forMs);
    agent.signal("SIGCONT");
  },
  "agent told to leave": async ({ agent }) => {
    await agent.leave({ atOnce: false });
    agent.start();
  },
  "agent told to leave at once": async ({ agent, forMs }) => {
    await agent.leave({ atOnce: true });
    await delay(forMs);
    agent.start();
  },
  "agent drained and resumed": async ({ fleet, agent, forMs }) => {
    const ask = (verb: "drain" | "resume") => fleet.navvy.fleet.ask(agent.options.name, verb, { reason: "chaos" }).catch(() => undefined);
    await ask("drain");
    await delay(forMs);
    // Behind a broken link it does not hear; a drained agent that nobody resumes would hold no task, but serve none either.
    for (let tries = 0; tries < 20 && !(await ask("resume"))?.ok; tries++) await delay(500);
  },
  "spawner killed": async ({ agent, forMs }) => {
    for (const pid of agent.spawnerPids) killNow(pid);
    await delay(forMs);
  },
  "link held": ({ link, forMs }) => link.cut("hold", forMs),
  "link dropped": ({ link, forMs }) => link.cut("drop", forMs),
  "link slow": ({ link, forMs }) => link.slow(forMs),
  "server killed": async ({ fleet, forMs }) => {
    await fleet.nats.kill("SIGKILL");
    await delay(forMs);
    await fleet.nats.restart();
  },
  "server stopped for a while": async ({ fleet, forMs }) => {
    fleet.nats.pause();
    await delay(forMs);
    fleet.nats.resume();
  },
  "server restarted": async ({ fleet }) => {
    await fleet.nats.restart();
  },
};

/** Resolves once the fault is mended again. */
export async function inject(fleet: Fleet, fault: PlannedFault): Promise<void> {
  const [agent, link] = [fleet.agents[fault.agent], fleet.links[fault.agent]];
  if (agent === undefined || link === undefined) throw new Error(`there is no agent ${fault.agent}`);
  await FAULTS[fault.kind]({ fleet, agent, link, forMs: fault.forMs });
}

function killNow(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself in between.
  }
}
