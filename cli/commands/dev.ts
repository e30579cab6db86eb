import { type Command, Option } from "commander";
import { parseCount } from "../arguments.js";
import { act } from "../call.js";

/** Flags of `navvy dev`. */
export interface DevOptions {
  fresh?: boolean;
  data?: string;
  port: number;
  agents: number;
  agent: boolean;
}

/** `navvy dev` */
export function devCommand(program: Command): void {
  program
    .command("dev")
    .description("start a NATS server and an agent here, all in one, for trying things out")
    .addOption(new Option("--port <number>", "the server's port").default(4222).argParser(parseCount).env("NAVVY_PORT"))
    .addOption(new Option("--data <dir>", "where the server and the agent keep their files").env("NAVVY_DATA"))
    .option("--fresh", "wipe that folder first")
    .option("--agents <n>", "so many agents", parseCount, 1)
    .option("--no-agent", "the server only")
    .action(act(async () => (await import("./dev/dev.js")).dev));
}
