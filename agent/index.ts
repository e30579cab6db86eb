/** `navvy/agent`: the daemon that runs tasks on a machine. */
export { Agent, startAgent } from "./agent.js";
export type { AgentOptions } from "./config.js";
export { layOutReplay, type Replay, type ReplayOptions } from "./replay.js";
export { VERSION } from "./version.js";
