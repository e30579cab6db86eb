import { type Command, Option } from "commander";
import { act } from "../call.js";
import { addTaskOptions, type TaskOptions } from "./task-options.js";

/** Flags of `navvy run`. */
export interface RunOptions extends TaskOptions {
  queue: string;
  class: "front" | "high" | "normal" | "low";
  createQueue?: boolean;
  detach?: boolean;
  draft?: boolean;
  requireAgent?: boolean;
  dryRun?: boolean;
  exitZero?: boolean;
}

const NOTES = `
The command's stdin is empty; give it files with --code or --input.
With -o json or jsonl its log goes to stderr, and stdout holds nothing but the ended task.
The command is no shell's: for pipes, variables and quotes use --shell 'echo "a b" | wc'.`;

/** `navvy run` */
export function runCommand(program: Command): void {
  const run = program
    .command("run")
    .description("run a command on the fleet: create, enqueue, follow its log, exit with its code")
    .usage("[options] -- COMMAND [args]");
  addTaskOptions(run);
  run
    .addOption(new Option("-q, --queue <queue>", "where it waits").default("default").env("NAVVY_DEFAULT_QUEUE"))
    .addOption(new Option("--class <class>", "its place there").choices(["front", "high", "normal", "low"]).default("normal"))
    .option("--create-queue", "make the queue even if its name looks like a slip of another's")
    .option("-d, --detach", "print the id and leave")
    .option("--draft", "create it only, do not enqueue it")
    .option("--require-agent", "exit 8 when nobody that is up serves the queue")
    .option("--dry-run", "print the task document and create nothing")
    .option("--exit-zero", "exit 0 however the task ends")
    .addHelpText("after", NOTES)
    .action(act(async () => (await import("./run/run.js")).run));
}
