import type { Command } from "commander";
import type { SecretUse } from "../../../protocol/index.js";

/** Flags of what a task gets from its agent and nobody else sees. */
export interface SecretOptions {
  secret?: Record<string, SecretUse>;
  secretFile?: Record<string, SecretUse>;
}

/** Adds them. */
export function addSecretFlags(command: Command): void {
  command
    .option("--secret <NAME[=secret]>", "a secret of its agent as environment variable NAME; repeatable", collectSecret("env"))
    .option("--secret-file <NAME[=secret]>", "the same as a file in memory, $NAVVY_SECRETS/NAME; repeatable", collectSecret("file"));
}

/** Without a second name it is called the same by both. */
function collectSecret(as: SecretUse["as"]) {
  return (text: string, before: Record<string, SecretUse> = {}): Record<string, SecretUse> => {
    const [name = "", secret = name] = text.split("=", 2);
    return { ...before, [name]: { secret, as } };
  };
}
