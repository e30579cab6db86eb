import type { Command } from "commander";
import { act } from "../call.js";

/** `navvy help [TOPIC]` */
export function helpCommand(program: Command): void {
  program
    .command("help")
    .description("help on a command, or a topic: environment, exit-codes, states")
    .argument("[topic...]", "command or topic")
    .action(act(async () => (await import("./help/help.js")).help(program)));
}
