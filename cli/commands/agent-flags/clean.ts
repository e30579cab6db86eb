import { type Command, Option } from "commander";
import type { AgentOptions } from "../../../agent/index.js";
import { parseCount, parseSize } from "../../arguments.js";

/** Flags of what an agent leaves on its disk. */
export interface CleanFlags {
  clean?: "always" | "on-success" | "never";
  keepDays?: number;
  maxEnvironments?: number;
  keepFree?: number;
}

/** Adds them. */
export function addCleanFlags(command: Command): void {
  command
    .addOption(
      new Option("--clean <policy>", "after which ends a task's folder is removed (default: always)")
        .choices(["always", "on-success", "never"])
        .env("NAVVY_CLEAN"),
    )
    .addOption(
      new Option("--keep-days <n>", "how long a folder stays that is not removed at once (default: 7)")
        .argParser(parseCount)
        .env("NAVVY_KEEP_DAYS"),
    )
    .addOption(
      new Option(
        "--keep-free <size>",
        "with less free disk than that, kept folders and unused environments go, the oldest first (default: 1G)",
      )
        .argParser(parseSize)
        .env("NAVVY_KEEP_FREE"),
    )
    .addOption(
      new Option("--max-environments <size>", "of all that set-ups have made; what was not used for longest goes first (default: 20G)")
        .argParser(parseSize)
        .env("NAVVY_MAX_ENVIRONMENTS"),
    );
}

/** For the agent. */
export function cleanOptionsOf({
  clean,
  keepDays,
  maxEnvironments,
  keepFree,
}: CleanFlags): Pick<AgentOptions, "clean" | "keepDays" | "maxEnvironmentsBytes" | "keepFreeDiskBytes"> {
  return {
    ...(clean === undefined ? {} : { clean: clean === "on-success" ? "onSuccess" : clean }),
    ...(keepDays === undefined ? {} : { keepDays }),
    ...(maxEnvironments === undefined ? {} : { maxEnvironmentsBytes: maxEnvironments }),
    ...(keepFree === undefined ? {} : { keepFreeDiskBytes: keepFree }),
  };
}
