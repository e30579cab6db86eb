import { join } from "node:path";
import type { Navvy } from "../broker/index.js";
import type { AgentConfig } from "./config.js";
import { type FolderLock, lockFolder } from "./host/folder-lock.js";
import { Journal } from "./host/journal.js";
import { Machine } from "./host/machine.js";
import { SpawnerClient } from "./host/spawner-client.js";
import { containerRunner } from "./runners/container.js";
import type { Engines } from "./runners/engines.js";
import { findEngines } from "./runners/find.js";
import type { Runner } from "./runners/runner.js";
import { Secrets } from "./secrets/secrets.js";
import { makeAgentFolder } from "./task/folder.js";
import { refuseTwin } from "./twin.js";

/** What an agent has open of its machine. */
export interface Host {
  lock: FolderLock;
  journal: Journal;
  machine: Machine;
  spawner: SpawnerClient;
  engines: Engines;
  runner: Runner;
  secrets: Secrets;
}

/**
 * Takes an agent's folder and opens what is in and below it, once it is sure that no other agent of this name is up.
 *
 * @throws NavvyError conflict, setup_failed, unreadable (the journal), engine_unreachable, invalid_argument
 */
export async function openHost(config: AgentConfig, navvy: Navvy): Promise<Host> {
  await makeAgentFolder(config.folder);
  const lock = await lockFolder(join(config.folder, "agent.lock"));
  const journal = await Journal.open(join(config.folder, "journal.jsonl"), { forget: config.forget });
  await refuseTwin(navvy, config, journal.lastSession?.session);
  // Before there is a spawner: one that is not wanted after all would have to be ended.
  const [engines, machine] = await Promise.all([findEngines(config), Machine.probe({ workDir: config.folder, gpus: config.gpus })]);
  const secrets = await Secrets.open(config, navvy);
  try {
    const spawner = await openSpawner(config, journal);
    const runner = containerRunner({ spawner, engines, agent: config.name, log: config.log });
    return { lock, journal, machine, spawner, engines, runner, secrets };
  } catch (error) {
    secrets.close();
    throw error;
  }
}

/** The spawner of an earlier run, with what it still runs, or a new one. */
async function openSpawner(config: AgentConfig, journal: Journal): Promise<SpawnerClient> {
  const left = journal.lastSpawner;
  const spawner = await SpawnerClient.open({
    workDir: config.folder,
    agent: config.name,
    log: config.log,
    orphanMs: config.adoptWithinMs,
    ...(left ? { adopt: left } : {}),
  });
  const { pid, socketPath, cgroup } = spawner;
  await journal.append({ op: "spawner", pid, socketPath, cgroup });
  return spawner;
}
