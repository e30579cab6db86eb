import { hostname } from "node:os";
import type { Navvy } from "../broker/index.js";
import { PROTOCOL } from "../protocol/index.js";
import type { AgentConfig } from "./config.js";
import type { Machine } from "./host/machine.js";
import type { Engines } from "./runners/engines.js";
import type { Secrets } from "./secrets/secrets.js";
import { VERSION } from "./version.js";

/** Writes down what this agent is and serves, under its present session. */
export async function register({
  navvy,
  config,
  machine,
  engines,
  secrets,
  session,
}: {
  navvy: Navvy;
  config: AgentConfig;
  machine: Machine;
  engines: Engines;
  secrets: Secrets;
  session: string;
}): Promise<void> {
  const { facts } = machine;
  const engine = engines.current;
  await navvy.fleet.register({
    type: "navvy.agent.v1",
    name: config.name,
    session,
    host: hostname(),
    pid: process.pid,
    version: VERSION,
    protocol: PROTOCOL,
    queues: config.serves,
    order: config.order,
    slots: config.slots,
    serviceSlots: config.serviceSlots,
    cpus: facts.cpus,
    memoryBytes: facts.memoryBytes,
    gpus: facts.gpus,
    os: facts.os,
    labels: config.labels,
    ...secrets.registration,
    ...(engine ? { engine: `${engine.name} ${engine.version}`.trim() } : {}),
    ...(facts.diskBytes === undefined ? {} : { diskBytes: facts.diskBytes }),
    registeredAt: new Date().toISOString(),
  });
  navvy.events.emit({ kind: "agent", id: config.name, event: "joined", reason: "registered", key: session, data: { session } });
}
