import { type Command, Option } from "commander";
import { act } from "../call.js";
import { CLASS_NAMES } from "./class-names.js";

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
    .action(act(async () => (await import("./queue/change.js")).create));
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
