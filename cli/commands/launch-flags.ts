import { type Command, Option } from "commander";
import type { ParameterValue, QueueClass } from "../../protocol/index.js";
import { collect, collectParameter } from "../arguments.js";
import { CLASS_NAMES } from "./class-names.js";

/** What schedules and triggers make of their template, as flags. */
export interface LaunchOptions {
  queue?: string;
  class?: QueueClass;
  createQueue?: boolean;
  name?: string;
  project?: string;
  tag?: string[];
  param?: Record<string, ParameterValue>;
}

export function addLaunchFlags(command: Command, example: string): Command {
  return command
    .option("-q, --queue <queue>", "where each clone is enqueued (default: where its template was; controllers: services)")
    .addOption(new Option("--class <class>", "front, high, normal or low (default: normal)").choices([...CLASS_NAMES]))
    .option("--create-queue", "make the queue even if its name looks like a slip of another one's")
    .option("-n, --name <name>", `name of each clone (default: the template's); may hold ${example}`)
    .option("--project <name>", "project of each clone (default: the template's)")
    .option("--tag <tag>", "of each clone, in place of the template's; repeatable", collect)
    .addOption(
      new Option("-p, --param <Section/name=value>", `parameter of each clone; may hold ${example}; repeatable`).argParser(
        collectParameter,
      ),
    );
}
