import { type Command, InvalidArgumentError, Option } from "commander";
import { collect, parseDuration } from "../arguments.js";
import { act } from "../call.js";

const STATUSES = ["completed", "failed", "aborted"] as const;

/** Flags of `navvy cleanup run`. Times in milliseconds. */
export interface CleanupFlags {
  older: number;
  status?: (typeof STATUSES)[number][];
  project?: string;
  keepTagged?: string[];
  archive?: boolean;
  delete?: boolean;
  dryRun?: boolean;
}

/** `navvy cleanup` */
export function cleanupCommand(program: Command): void {
  program
    .command("cleanup")
    .description("archive or delete ended tasks that are old and that nothing needs")
    .command("run")
    .description("do it now; as the command of a task on the services queue it can be scheduled")
    .option("--older <age>", "ended longer ago than that", parseDuration, parseDuration("30d"))
    .option("--status <status,...>", "only completed, failed or aborted ones (default: all three)", parseStatuses)
    .option("--project <name>", "of this project only")
    .option("--keep-tagged <tag>", "leave those alone that have this tag (and those tagged keep); repeatable", collect)
    .addOption(new Option("--archive", "take them out of lists (the default)").conflicts("delete"))
    .option("--delete", "for good, with logs, metrics and artifacts; navvy gc then frees what they took")
    .option("--dry-run", "only say what would go")
    .addHelpText(
      "after",
      "\nNever touched: what is published, has made a model, is an input of something that waits, runs, is a draft or is published,\nhas a child that waits or runs, or a controller that does. navvy storage set --tasks 90d deletes by age all the time instead.",
    )
    .action(act(async () => (await import("./cleanup/run.js")).run));
}

function parseStatuses(text: string, before: CleanupFlags["status"] = []): NonNullable<CleanupFlags["status"]> {
  const given = text.split(",").map((each) => {
    const known = STATUSES.find((status) => status === each.trim());
    if (!known) throw new InvalidArgumentError(`${STATUSES.join(", ")} are known.`);
    return known;
  });
  return [...before, ...given];
}
