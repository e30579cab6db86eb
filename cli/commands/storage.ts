import { type Command, InvalidArgumentError } from "commander";
import type { KeepLimit } from "../../protocol/index.js";
import { parseDuration, parseSize } from "../arguments.js";
import { act } from "../call.js";

/** What a flag of `navvy storage set` says: a limit, or that what holds around the place holds here too. */
export type Rule = KeepLimit | "inherit";

/** Flags of `navvy storage set`. */
export interface StorageSetOptions {
  project?: string;
  queue?: string;
  tasks?: Rule;
  logs?: Rule;
  metrics?: Rule;
  artifacts?: Rule;
  every?: number | "never";
}

/** Flags of `navvy gc`. */
export interface GcFlags {
  dryRun?: boolean;
  /** Milliseconds. */
  grace?: number;
}

const RULE = "30d, 50G, both as 30d,50G, forever, or inherit";

/** `navvy storage` */
export function storageCommand(program: Command): void {
  const storage = program
    .command("storage")
    .description("what lies where, how long it is kept, and what is over its limit")
    .action(act(async () => (await import("./storage/show.js")).show));
  storage
    .command("set")
    .description("say how long what is kept: for the fleet, a project or a queue; navvy gc enforces it")
    .option("--project <name>", "for this project's tasks")
    .option("--queue <name>", "for this queue's tasks")
    .option("--tasks <age>", "records of ended tasks, with all that they have", parseRule)
    .option("--logs <rule>", `finished logs: ${RULE}`, parseRule)
    .option("--metrics <rule>", "points of metrics; their figures stay in the record", parseRule)
    .option("--artifacts <rule>", "artifacts", parseRule)
    .option("--every <age>", "enforce it so often by itself: 1d, or never", parseEvery)
    .addHelpText(
      "after",
      "\nAn age counts from a task's end; the project's rule comes before the queue's, and that before the fleet's. A size holds for\nall that stands in its place together: the oldest goes first. What runs, waits, is a draft, is published or has the tag\n`keep` is never touched.",
    )
    .action(act(async () => (await import("./storage/set.js")).set));
}

/** `navvy gc` */
export function gcCommand(program: Command): void {
  program
    .command("gc")
    .description("take away what is past its time or over its place's size, and what nothing refers to")
    .option("--dry-run", "only say what would go")
    .option("--grace <age>", "leave objects alone that are younger (default: 1d, at least 1m)", parseDuration)
    .action(act(async () => (await import("./storage/gc.js")).gc));
}

/** `30d`, `50G`, `30d,50G`, `forever`, `inherit`. */
export function parseRule(text: string): Rule {
  if (text === "inherit") return "inherit";
  if (text === "forever") return { ageMs: 0, bytes: 0 };
  const limit: KeepLimit = {};
  for (const part of text.split(",").map((each) => each.trim())) {
    if (/^\d+(\.\d+)?[KMGT](i?B)?$/.test(part)) limit.bytes = parseSize(part);
    else if (/^(\d+(\.\d+)?(s|m|h|d))+$/.test(part)) limit.ageMs = parseDuration(part);
    else throw new InvalidArgumentError(`${RULE} is wanted: an age with d, h or m, a size with K, M, G or T.`);
  }
  return limit;
}

function parseEvery(text: string): number | "never" {
  return text === "never" ? "never" : parseDuration(text);
}
