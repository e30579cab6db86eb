import { type Command, Option } from "commander";
import { parseDuration, parseSize } from "../../arguments.js";

/** Flags of an agent about the repositories that it fetches. */
export interface AgentGitOptions {
  gitCache?: number;
  gitLimit?: number;
}

/** Adds them. */
export function addAgentGitFlags(command: Command): void {
  command
    .addOption(
      new Option("--git-cache <size>", "repositories that are kept for later tasks (default: 20G)")
        .argParser(parseSize)
        .env("NAVVY_GIT_CACHE"),
    )
    .addOption(
      new Option("--git-limit <duration>", "a call of git that takes longer is ended (default: 15m)")
        .argParser(parseDuration)
        .env("NAVVY_GIT_LIMIT"),
    );
}
