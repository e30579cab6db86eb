import { randomUUID } from "node:crypto";
import type { Msg } from "nats";
import {
  AGENT_VERBS,
  type AgentVerb,
  type ControlReply,
  ControlRequest,
  decode,
  encode,
  isNavvyError,
  NavvyError,
} from "../protocol/index.js";
import type { Bus } from "./bus.js";

/** What each verb does; resolves with the data of its reply, throws to refuse. */
export type ControlHandlers = Record<AgentVerb, (request: ControlRequest) => Promise<Record<string, unknown>> | Record<string, unknown>>;

export interface ServeOptions {
  agent: string;
  handlers: ControlHandlers;
  /** Told of each refusal, with the id that the reply carries too. */
  onRefused: (verb: AgentVerb, reply: ControlReply) => void;
}

/** Answers what is asked of one agent directly. Returns how to stop. */
export function serveAgent(bus: Bus, options: ServeOptions): () => void {
  const subscriptions = AGENT_VERBS.map((verb) =>
    bus.nc.subscribe(bus.subjects.agent(options.agent, verb), {
      callback: (error, message) => {
        if (error === null) answer(message, verb, options).catch(() => undefined); // closed meanwhile: nobody is there to be told
      },
    }),
  );
  return () => {
    if (!bus.nc.isClosed()) for (const subscription of subscriptions) subscription.unsubscribe();
  };
}

async function answer(message: Msg, verb: AgentVerb, { handlers, onRefused }: ServeOptions): Promise<void> {
  let reply: ControlReply;
  try {
    // An empty request is a person's plain `nats request`.
    const request: ControlRequest =
      message.data.length === 0 ? { type: "navvy.request.v1", by: "anonymous" } : decode(ControlRequest, message.data, `request ${verb}`);
    reply = { type: "navvy.reply.v1", ok: true, data: await handlers[verb](request) };
  } catch (error) {
    const known = isNavvyError(error) ? error : new NavvyError("internal", String(error), { cause: error });
    reply = { type: "navvy.reply.v1", ok: false, code: known.code, message: known.message, errorId: randomUUID() };
    onRefused(verb, reply);
  }
  message.respond(encode(reply));
}
