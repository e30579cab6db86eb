import type { SpawnerClient } from "../host/spawner-client.js";
import type { Runner } from "./runner.js";

/** Runs tasks as plain processes through the spawner, each in a process group of its own. */
export function processRunner(spawner: SpawnerClient): Runner {
  return {
    start: (spec) => spawner.start(spec),
    exited: (key) => spawner.exited(key),
    signal: (key, signal) => spawner.signal(key, signal),
    kill: (key) => spawner.kill(key),
  };
}
