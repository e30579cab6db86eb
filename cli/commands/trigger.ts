import type { Command } from "commander";
import { collect, collectPair } from "../arguments.js";
import { act } from "../call.js";
import { addLaunchFlags, type LaunchOptions } from "./launch-flags.js";

/** Flags of `navvy trigger create`. */
export interface TriggerCreateOptions extends LaunchOptions {
  onStatus?: string[];
  onMetric?: string;
  onArtifact?: string;
  onModel?: string;
  onTag?: string;
  onOwn?: boolean;
  fromProject?: string;
  fromName?: string;
  fromTag?: string[];
  fromType?: string;
  fromQueue?: string;
  input?: Record<string, string>;
}

const EXAMPLES = `
Examples:
  navvy trigger create evaluate eval --on-status completed --from-project iris -p 'General/task=\${trigger.task.id}'
  navvy trigger create deploy ship --on-metric 'val/acc.max > 0.9' -p 'General/acc=\${trigger.value}'
  navvy trigger create check smoke --on-model 'best*' --input 'model=\${trigger.artifact.name}'`;

/** `navvy trigger` */
export function triggerCommand(program: Command): void {
  const trigger = program.command("trigger").aliases(["triggers"]).description("clones of a task when something happens to another");
  addCreate(trigger);
  trigger
    .command("ls")
    .description("list triggers with what they fired last")
    .action(act(async () => (await import("./trigger/look.js")).list));
  trigger
    .command("show")
    .description("a trigger and how its firings went")
    .argument("<trigger>")
    .action(act(async () => (await import("./trigger/look.js")).show));
  trigger
    .command("test")
    .description("whether it would fire on a task as it is, and why not; exit code 1 when not")
    .argument("<trigger>")
    .argument("<task>", "id, suffix of it, name, project/name, or @last")
    .action(act(async () => (await import("./trigger/look.js")).test));
  trigger
    .command("pause")
    .description("it fires on nothing until it is resumed; what runs goes on")
    .argument("<trigger>")
    .option("--reason <text>", "shown to whoever looks", "paused")
    .action(act(async () => (await import("./trigger/change.js")).pause));
  trigger
    .command("resume")
    .description("end a pause; what happened in it does not count")
    .argument("<trigger>")
    .action(act(async () => (await import("./trigger/change.js")).resume));
  trigger
    .command("rm")
    .description("remove a trigger; its tasks stay")
    .argument("<trigger>")
    .action(act(async () => (await import("./trigger/change.js")).remove));
}

function addCreate(trigger: Command): void {
  const create = trigger
    .command("create")
    .description("clone a task whenever something happens to another, done by whichever agent leads")
    .argument("<trigger>", "its name")
    .argument("<template>", "the task to clone: id, suffix of it, name, project/name, or @last")
    .optionsGroup("On what, one of:")
    .option("--on-status <status>", "queued, running, completed, failed, aborted or published; repeatable", collect)
    .option("--on-metric <condition>", "what is reported comes to meet it: 'val/acc.max > 0.9 and epoch >= 10'")
    .option("--on-artifact <pattern>", "a new artifact whose name is like it: '*.csv'")
    .option("--on-model <pattern>", "a new model whose name is like it")
    .option("--on-tag <tag>", "the tag is added")
    .optionsGroup("Of which tasks (default: all):")
    .option("--from-project <name>", "of this project")
    .option("--from-name <pattern>", "whose name is like it: 'train*'")
    .option("--from-tag <tag>", "with this tag; repeatable", collect)
    .option("--from-type <type>", "of this type")
    .option("--from-queue <queue>", "that are or were on this queue")
    .option("--on-own", "also of those that come of this trigger's own firings: a loop, unless something ends it")
    .optionsGroup("What:")
    .option("--input <name=artifact>", "an artifact of the task that it fires on, at $NAVVY_INPUTS/name; repeatable", collectPair);
  addLaunchFlags(create, "${trigger.task.id}, .task.name, .value, …");
  create.addHelpText("after", EXAMPLES).action(act(async () => (await import("./trigger/create.js")).create));
}
