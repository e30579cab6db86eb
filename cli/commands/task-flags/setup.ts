import type { Command } from "commander";
import { collect, parseDuration } from "../../arguments.js";

/** Flags of what is made ready once before a task. */
export interface SetupOptions {
  setup?: string[];
  setupFile?: string[];
  setupTimeout?: number;
  python?: boolean;
  interpreter?: string;
  requirements?: string[];
  node?: boolean;
}

/** Adds them. */
export function addSetupFlags(command: Command): void {
  command
    .option("--python", "in a virtual environment of what uv.lock, requirements.txt or pyproject.toml asks for, made once per agent")
    .option("--requirements <file>", "a requirements file of the code, in place of those; repeatable", collect)
    .option("--interpreter <program>", "the Python to make it with: python3.12, or a full path (default: python3)")
    .option("--node", "with node_modules as package.json and its lock say, made once per agent")
    .option("--setup <command>", "run this before the task, for sh -c; repeatable", collect)
    .option("--setup-file <file>", "a file or folder of the code that decides what --setup makes: kept while it stays the same", collect)
    .option("--setup-timeout <duration>", "of the whole set-up (default: 30m)", parseDuration);
}
