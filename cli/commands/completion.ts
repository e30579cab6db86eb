import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";

/** `navvy completion SHELL` and the hidden `navvy complete` that the shells ask. The only place that knows the library (0.0.x). */
export function completionCommand(program: Command): void {
  tab(program, { completionCommandName: "completion" });
}
