import {
  type AgentVerb,
  type ControlReply,
  ControlReply as ControlReplySchema,
  type ControlRequest,
  decode,
  encode,
} from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { isUnanswered, translate } from "./nats-error.js";

/** A verb with what it needs. */
export interface AgentQuestion extends Partial<Omit<ControlRequest, "type" | "by">> {
  verb: AgentVerb;
  timeoutMs?: number;
}

/** Asks one agent directly; undefined when it does not answer (away, cut off, or gone). */
export async function askAgent(bus: Bus, agent: string, question: AgentQuestion): Promise<ControlReply | undefined> {
  if (agent === "") return undefined;
  const { verb, timeoutMs = 1_500, ...rest } = question;
  const message: ControlRequest = { type: "navvy.request.v1", by: bus.actor, ...rest };
  try {
    const reply = await bus.nc.request(bus.subjects.agent(agent, verb), encode(message), { timeout: timeoutMs });
    return decode(ControlReplySchema, reply.data, `reply of agent ${agent}`);
  } catch (error) {
    if (isUnanswered(error)) return undefined;
    throw translate(error, `ask agent ${agent} to ${verb}`, bus.source);
  }
}
