import type { SpawnerClient } from "../host/spawner-client.js";
import type { Runner } from "./runner.js";

/** Runs tasks as plain processes through the spawner, each in a process group of its own. */
export function processRunner(spawner: SpawnerClient): Runner {
  return {
    adopted: spawner.adopted,
    start: ({ container: _container, ...spec }) => spawner.start(spec),
    pidOf: async (key) => spawner.pidOf(key),
    exited: (key) => spawner.exited(key),
    gone: (key) => spawner.gone(key),
    signal: (key, signal) => spawner.signal(key, signal),
    end: (key, request) => spawner.end(key, request),
    kill: (key) => spawner.kill(key),
    pause: (key) => spawner.pause(key),
    resume: (key) => spawner.resume(key),
    release: (key) => spawner.release(key),
    close: async () => {},
    recall: () => {},
    judge: async (_key, end) => end,
  };
}
