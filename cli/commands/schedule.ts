import { type Command, Option } from "commander";
import type { CatchUp, Overlap } from "../../protocol/index.js";
import { parseComingTime, parseCount, parseDuration } from "../arguments.js";
import { act } from "../call.js";
import { addLaunchFlags, type LaunchOptions } from "./launch-flags.js";

/** Flags of `navvy schedule create`. */
export interface ScheduleCreateOptions extends LaunchOptions {
  cron?: string;
  tz?: string;
  every?: number;
  start?: string;
  at?: string;
  overlap?: Overlap;
  catchUp?: CatchUp;
  catchUpLimit?: number;
  until?: string;
  limit?: number;
}

const EXAMPLES = `
Examples:
  navvy schedule create nightly train --cron "30 2 * * MON-FRI" --tz Europe/Berlin
  navvy schedule create hourly report --every 1h -p 'General/day=\${schedule.date}'
  navvy schedule create once train --at 2030-01-01T03:00:00Z -q gpu`;

/** `navvy schedule` */
export function scheduleCommand(program: Command): void {
  const schedule = program.command("schedule").aliases(["schedules"]).description("clones of a task at set times");
  addCreate(schedule);
  schedule
    .command("ls")
    .description("list schedules with their next times and last runs")
    .action(act(async () => (await import("./schedule/look.js")).list));
  schedule
    .command("show")
    .description("a schedule, its next times and how its runs went")
    .argument("<schedule>")
    .action(act(async () => (await import("./schedule/look.js")).show));
  schedule
    .command("run")
    .description("one more run, now; also of one that is paused")
    .argument("<schedule>")
    .action(act(async () => (await import("./schedule/change.js")).run));
  schedule
    .command("pause")
    .description("nothing is due until it is resumed; what runs goes on")
    .argument("<schedule>")
    .option("--reason <text>", "shown to whoever looks", "paused")
    .action(act(async () => (await import("./schedule/change.js")).pause));
  schedule
    .command("resume")
    .description("end a pause; what was due in it is not made up for")
    .argument("<schedule>")
    .action(act(async () => (await import("./schedule/change.js")).resume));
  schedule
    .command("rm")
    .description("remove a schedule; its tasks stay")
    .argument("<schedule>")
    .action(act(async () => (await import("./schedule/change.js")).remove));
}

function addCreate(schedule: Command): void {
  const create = schedule
    .command("create")
    .description("clone a task at set times, done by whichever agent leads")
    .argument("<schedule>", "its name")
    .argument("<template>", "the task to clone: id, suffix of it, name, project/name, or @last")
    .optionsGroup("When, one of:")
    .option("--cron <expression>", 'five fields, "30 2 * * MON-FRI", or @hourly, @daily, @weekly, @monthly, @yearly')
    .option("--every <duration>", "an interval: 15m, 4h, 1d", parseDuration)
    .option("--at <time>", "once: 2h (from now), 2030-01-01T12:00:00Z, or a local time", parseComingTime)
    .optionsGroup("More about when:")
    .option("--tz <zone>", "time zone of --cron and of local times (default: this machine's)")
    .option(
      "--start <time>",
      "of --every: the first time, from which the others are counted (default: one interval from now)",
      parseComingTime,
    )
    .option("--until <time>", "nothing is due after that", parseComingTime)
    .option("--limit <n>", "it ends after so many runs", parseCount)
    .addOption(
      new Option("--overlap <policy>", "while the last run has not ended: skip, queue or parallel (default: skip)").choices([
        "skip",
        "queue",
        "parallel",
      ]),
    )
    .addOption(
      new Option("--catch-up <policy>", "of what nobody was there for: none, last or all (default: last)").choices(["none", "last", "all"]),
    )
    .option("--catch-up-limit <n>", "of --catch-up all: so many of the latest (default: 10)", parseCount)
    .optionsGroup("What:");
  addLaunchFlags(create, "${schedule.run}, .time, .date, .name");
  create.addHelpText("after", EXAMPLES).action(act(async () => (await import("./schedule/create.js")).create));
}
