import { type Command, Option } from "commander";
import { parseCount, parseSize } from "../../arguments.js";

/** Flags of how much a task may take. */
export interface AgentLimitOptions {
  maxPids?: number;
  maxSpool?: number;
  logLimit?: number;
}

/** Adds them. */
export function addAgentLimitFlags(command: Command): void {
  command
    .addOption(
      new Option("--max-pids <n>", "most processes and threads one task may have (default: no limit)")
        .argParser(parseCount)
        .env("NAVVY_MAX_PIDS"),
    )
    .addOption(
      new Option("--max-spool <size>", "output of one task that may wait here to be stored; beyond it the task stands still (default: 1G)")
        .argParser(parseSize)
        .env("NAVVY_MAX_SPOOL"),
    )
    .addOption(
      new Option("--log-limit <size>", "of a task's log so much is kept, half from the start and half from the end (default: 2G)")
        .argParser(parseSize)
        .env("NAVVY_LOG_LIMIT"),
    );
}
