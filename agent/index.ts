/** `navvy/agent`: the daemon that runs tasks on a machine. */
export { Agent, startAgent } from "./agent.js";
export type { AgentOptions } from "./config.js";
export { VERSION } from "./version.js";
