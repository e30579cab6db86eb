import type { Command } from "commander";
import { act } from "../call.js";

/** `navvy why TASK` */
export function whyCommand(program: Command): void {
  program
    .command("why")
    .description("explain why a task waits, what it does, or how it ended")
    .argument("<task>", "id, suffix of it, name, project/name, or @last")
    .action(act(async () => (await import("./why/why.js")).why));
}
