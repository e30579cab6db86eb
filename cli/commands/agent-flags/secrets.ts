import { resolve } from "node:path";
import { type Command, Option } from "commander";
import type { AgentOptions } from "../../../agent/index.js";

/** Flags of an agent about what it hands to tasks and nobody else sees. */
export interface AgentSecretOptions {
  secrets?: string;
  secretsDir?: string;
}

/** Adds them. */
export function addAgentSecretFlags(command: Command): void {
  command
    .addOption(new Option("--secrets <file>", "where the values of secrets are: JSON, see docs/secrets.md").env("NAVVY_SECRETS_FILE"))
    .addOption(
      new Option("--secrets-dir <dir>", "a folder in memory (tmpfs) for the secrets of running tasks (default: /dev/shm)").env(
        "NAVVY_SECRETS_DIR",
      ),
    );
}

/** For the agent. */
export function secretConfigOf({ secrets, secretsDir }: AgentSecretOptions): Pick<AgentOptions, "secretsFile" | "secretsDir"> {
  return {
    ...(secrets === undefined ? {} : { secretsFile: resolve(secrets) }),
    ...(secretsDir === undefined ? {} : { secretsDir: resolve(secretsDir) }),
  };
}
