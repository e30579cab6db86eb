import { type Command, Option } from "commander";
import { act } from "../call.js";
import { CLASS_NAMES } from "./class-names.js";
import { onDisconnectOption } from "./on-disconnect.js";

/** Flags of `navvy queue move`. */
export interface QueueMoveOptions {
  class?: (typeof CLASS_NAMES)[number];
  to?: string;
}

/** `navvy queue` */
export function queueCommand(program: Command): void {
  const queue = program.command("queue").aliases(["queues", "q"]).description("lines of tasks");
  queue
    .command("ls")
    .description("list queues")
    .action(act(async () => (await import("./queue/look.js")).list));
  queue
    .command("show")
    .description("what waits on a queue, in the order in which it will run, and who serves it")
    .argument("<queue>")
    .action(act(async () => (await import("./queue/look.js")).show));
  queue
    .command("create")
    .description("make a queue")
    .argument("<queue>")
    .addOption(onDisconnectOption("freeze"))
    .action(act(async () => (await import("./queue/change.js")).create));
  queue
    .command("edit")
    .description("change what holds for a queue's tasks, from their next claim on")
    .argument("<queue>")
    .addOption(onDisconnectOption("as it was"))
    .action(act(async () => (await import("./queue/change.js")).edit));
  queue
    .command("dead")
    .description("what is stuck or was set aside, here or everywhere, and the command that mends each")
    .argument("[queue]")
    .option("--mend", "publish lost tickets again and delete the messages that nobody needs")
    .option("--seen", "take what was set aside off this list")
    .action(act(async () => (await import("./queue/dead.js")).dead));
  queue
    .command("pause")
    .description("nothing is taken from it; what runs goes on")
    .argument("<queue>")
    .option("--reason <text>", "shown to whoever waits", "paused")
    .action(act(async () => (await import("./queue/change.js")).pause));
  queue
    .command("resume")
    .description("end a pause")
    .argument("<queue>")
    .action(act(async () => (await import("./queue/change.js")).resume));
  queue
    .command("move")
    .description("give a waiting task another place: a class, or a queue")
    .argument("<task>", "id, suffix of it, name, project/name, or @last")
    .addOption(new Option("--class <class>", "front, high, normal or low").choices([...CLASS_NAMES]))
    .option("--to <queue>", "another queue")
    .action(act(async () => (await import("./queue/change.js")).move));
  queue
    .command("clear")
    .description("take every waiting task back to draft")
    .argument("<queue>")
    .action(act(async () => (await import("./queue/change.js")).clear));
  queue
    .command("rm")
    .description("remove a queue")
    .argument("<queue>")
    .option("--force", "also when tasks wait: they go back to draft")
    .action(act(async () => (await import("./queue/change.js")).remove));
}
