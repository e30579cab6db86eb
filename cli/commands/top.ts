import type { Command } from "commander";
import { act } from "../call.js";

/** Flags of `navvy top`. */
export interface TopOptions {
  once?: boolean;
}

/** `navvy top` */
export function topCommand(program: Command): void {
  program
    .command("top")
    .description("live view of agents, queues and tasks (q quits)")
    .option("--once", "print one frame and end")
    .action(act(async () => (await import("./top/top.js")).top));
}
