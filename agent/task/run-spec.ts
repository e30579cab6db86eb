import type { Claim } from "../../broker/index.js";
import type { AgentConfig } from "../config.js";
import type { RunSpec } from "../runners/runner.js";
import type { Slot } from "../slots.js";
import { keyOf } from "./attempt-parts.js";
import { taskEnvironment } from "./environment.js";
import type { AttemptFolder } from "./folder.js";
import type { Prepared } from "./prepare.js";

/** What an attempt starts with. */
export interface Ready {
  slot: Slot;
  folder: AttemptFolder;
  prepared: Prepared;
}

/** What the runner is told of an attempt: its program, and what it is held to, also without us. */
export function runSpecOf(config: AgentConfig, claim: Claim, { slot, folder, prepared }: Ready): RunSpec {
  const { record } = claim;
  const { command, timeLimitMs, graceMs } = record.spec;
  const { stdout, stderr, exitFile } = folder;
  return {
    key: keyOf(claim),
    argv: command,
    cwd: prepared.cwd,
    env: taskEnvironment({ config, record, slot, folder, inherited: process.env, prepared }),
    ...{ stdout, stderr, exitFile, graceMs },
    onDisconnect: record.onDisconnect ?? "freeze",
    ...(config.maxPids > 0 ? { maxPids: config.maxPids } : {}),
    ...(timeLimitMs === undefined ? {} : { timeLimitMs }),
  };
}
