import type { Command } from "commander";
import { collect } from "../arguments.js";
import { act } from "../call.js";

/** Flags of `navvy secret set` and `navvy secret seal`. */
export interface SecretSetOptions {
  agent?: string[];
  forQueue?: string[];
  forProject?: string[];
  sealed?: boolean;
}

/** `navvy secret` */
export function secretCommand(program: Command): void {
  const secret = program.command("secret").alias("secrets").description("values that tasks get by name and nobody else sees");
  withRules(
    secret
      .command("set")
      .description("seal the value on stdin to agents: nobody else can read it, nor NATS; one of that name is replaced")
      .argument("[name]")
      .option("--sealed", "on stdin is what navvy secret seal printed"),
  ).action(act(async () => (await import("./secret/secret.js")).set));
  withRules(
    secret.command("seal").description("seal the value on stdin and print it, to be stored later with set --sealed").argument("<name>"),
  ).action(act(async () => (await import("./secret/secret.js")).sealValue));
  secret
    .command("ls")
    .description("which secrets which agents have; names only")
    .action(act(async () => (await import("./secret/secret.js")).list));
  secret
    .command("rm")
    .description("remove a sealed secret")
    .argument("<name>")
    .option("--agent <name>", "of this agent alone")
    .action(act(async () => (await import("./secret/secret.js")).remove));
}

function withRules(command: Command): Command {
  return command
    .option("--agent <name>", "seal it to this agent; repeatable", collect)
    .option("--for-queue <queue>", "only for tasks of this queue; repeatable", collect)
    .option("--for-project <project>", "only for tasks of this project; repeatable", collect);
}
