import type { Claim } from "../../broker/index.js";
import type { AgentConfig } from "../config.js";
import { hostPlace, type SetupPlace } from "../setup/place.js";
import type { Slot } from "../slots.js";
import { setupEnvironment } from "./environment.js";
import type { AttemptFolder } from "./folder.js";

/** One that does not end at its time limit waits for something that does not come. */
const MAX_GRACE_MS = 5_000;

/** Where the programs of a task's set-up run, and what the runner is told of each; their output goes into the set-up's log. */
export function setupPlaceOf(config: AgentConfig, claim: Claim, { slot, folder }: { slot: Slot; folder: AttemptFolder }): SetupPlace {
  const { record } = claim;
  return hostPlace(({ argv, cwd, env, path, isShared }) => ({
    ...{ argv, cwd, stdout: folder.setup, stderr: folder.setup, exitFile: folder.setupExit },
    env: setupEnvironment({ config, record, slot, folder, inherited: process.env, prepared: { env, path } }, isShared),
    graceMs: Math.min(record.spec.graceMs, MAX_GRACE_MS),
    onDisconnect: record.onDisconnect ?? "freeze",
    ...(config.maxPids > 0 ? { maxPids: config.maxPids } : {}),
  }));
}
