import { type Command, Option } from "commander";

/** Flags of a task whose code comes from git. */
export interface GitOptions {
  /** A folder of the checkout; true for this one. */
  git?: string | true;
  repo?: string;
  ref?: string;
  commit?: string;
  /** False for `--no-diff`. */
  diff?: boolean;
  /** False for `--no-submodules`. */
  submodules?: boolean;
}

/** Adds them. */
export function addGitFlags(command: Command): void {
  command
    .option("--git [dir]", "this checkout, cloned by the agent: its pushed commit, and all that is not pushed or committed as a diff")
    .option("--repo <url>", "another repository, cloned by the agent with its host's git configuration")
    .option("--ref <ref>", "branch or tag of --repo (default: its HEAD)")
    .option("--commit <sha>", "commit of --repo, by its full name")
    .addOption(new Option("--no-diff", "with --git: the pushed commit alone"))
    .addOption(new Option("--no-submodules", "leave submodules empty"));
}
