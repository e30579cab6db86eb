import type { AgentConfig } from "../config.js";
import { Engines } from "./engines.js";
import { checkHostWorkDir } from "./host-work-dir.js";

/**
 * The container engine of an agent, if any.
 * @throws NavvyError not_found, engine_unreachable (one that was asked for), invalid_argument (`hostWorkDir` is missing or wrong)
 */
export async function findEngines(config: AgentConfig): Promise<Engines> {
  const engines = await Engines.find(config.runtime, { log: config.log, env: process.env });
  if (engines.current) await checkHostWorkDir(engines.current, config);
  return engines;
}
