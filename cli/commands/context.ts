import type { Command } from "commander";
import { act } from "../call.js";

/** Flags of `navvy context show`. */
export interface ContextShowOptions {
  explain?: boolean;
}

/** `navvy context` */
export function contextCommand(program: Command): void {
  const context = program.command("context").description("how this machine reaches NATS; reads the NATS CLI's contexts");
  context
    .command("show")
    .description("print the settings in use; secrets are never printed")
    .option("--explain", "also where each value is from")
    .action(act(async () => (await import("./context/context.js")).showContext));
  context
    .command("ls")
    .description("list the NATS CLI's contexts")
    .action(act(async () => (await import("./context/context.js")).listContexts));
}
