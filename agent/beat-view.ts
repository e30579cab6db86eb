import type { Beat } from "../protocol/index.js";
import type { AgentInnards } from "./innards.js";

/** What a beat says of the agent itself; `hold` is why nothing is claimed, `trouble` what NATS does not take. */
export function beatView(
  parts: AgentInnards,
  { hold, trouble }: { hold: string | undefined; trouble: string | undefined },
): Omit<Beat, "type" | "at" | "cpu" | "memory" | "disk" | "network" | "gpus"> {
  const { config, slots, running, lease, coordinator } = parts;
  const state = hold?.startsWith("stopping") ? "stopping" : hold ? "draining" : slots.isIdle ? "idle" : "busy";
  return {
    agent: config.name,
    session: lease.owner.session,
    state,
    ...((hold ?? trouble) ? { reason: hold ?? trouble } : {}),
    queues: config.serves,
    slots: { used: slots.used.compute, total: slots.total.compute },
    services: { used: slots.used.service, total: slots.total.service },
    reserved: slots.reserved,
    running: running.all().map((attempt) => attempt.view),
    leading: coordinator.isLeading,
  };
}
