import { type Command, Option } from "commander";
import { collect, parseCount, parseDuration } from "../arguments.js";
import { act } from "../call.js";

/** Flags that say what to search, in place of a file or over one. Times in milliseconds. */
export interface SweepFlags {
  name?: string;
  project?: string;
  template?: string;
  param?: string[];
  metric?: string;
  goal?: "max" | "min";
  of?: "last" | "max" | "min";
  method?: "grid" | "random" | "tpe" | "asha";
  trials?: number;
  time?: number;
  trialTime?: number;
  failures?: number;
  parallel?: number;
  earlyStop?: boolean;
  target?: number;
  seed?: number;
  trialQueue?: string;
}

/** Flags of `navvy sweep run`. */
export interface SweepRunFlags extends SweepFlags {
  queue: string;
  wait?: boolean;
}

/** Flags of `navvy sweep check`. */
export interface SweepCheckFlags extends SweepFlags {
  offline?: boolean;
}

/** Flags of `navvy sweep ls`. */
export interface SweepListFlags {
  project?: string;
  archived?: boolean;
}

const SWEEP = "id, suffix of it, name, or project/name of the sweep's task";
const FILE_HELP = `
A file (YAML or JSON), flags, or flags over a file:

  name: learning rate
  template: iris/train                        # each trial is a clone of this task
  objective: {metric: val/acc, goal: max}     # of: last (default), max, min
  parameters:
    General/lr: {min: 1e-4, max: 1, log: true}
    General/layers: {min: 1, max: 8, integer: true}
    General/optimizer: {values: [adam, sgd]}
    General/momentum: {min: 0, max: 0.99, when: {General/optimizer: sgd}}
  method: tpe                                 # grid, random, tpe, asha
  budget: {trials: 40, time: 4h}
  parallel: 4
  earlyStop: {minSteps: 3}

  navvy sweep run sweep.yaml
  navvy sweep run --template iris/train -p General/lr=1e-4..1:log -p General/optimizer=adam,sgd --metric val/acc --goal max --trials 20`;

/** `navvy sweep` */
export function sweepCommand(program: Command): void {
  const sweep = program
    .command("sweep")
    .alias("sweeps")
    .description("search for good parameters: many clones of a task, the best of them found");
  const run = sweep.command("run").description("start a sweep on the services queue; needs no program").argument("[file]", "YAML or JSON");
  addSweepFlags(run);
  run
    .option("-q, --queue <queue>", "where the sweep itself runs", "services")
    .option("--wait", "until it is over; exits with 0 when it found something")
    .addHelpText("after", FILE_HELP)
    .action(act(async () => (await import("./sweep/run.js")).run));
  const check = sweep.command("check").description("say what is wrong with a sweep, and start nothing").argument("[file]", "YAML or JSON");
  addSweepFlags(check);
  check
    .option("--offline", "ask no server: the template is not looked at")
    .addHelpText("after", FILE_HELP)
    .action(act(async () => (await import("./sweep/run.js")).check));
  sweep
    .command("ls")
    .description("list sweeps, newest first, with the best of each")
    .option("--project <name>", "of this project")
    .option("--archived", "those that were archived")
    .action(act(async () => (await import("./sweep/show.js")).list));
  sweep
    .command("show")
    .description("a sweep's trials, the best first")
    .argument("<sweep>", SWEEP)
    .action(act(async () => (await import("./sweep/show.js")).show));
  sweep
    .command("abort")
    .description("end a sweep, and its trials unless it says onAbort: leave")
    .argument("<sweep>", SWEEP)
    .option("--reason <text>", "kept with the task", "by hand")
    .action(act(async () => (await import("./sweep/abort.js")).abort));
  sweep
    .command("execute", { hidden: true })
    .description("what a sweep's task runs")
    .action(act(async () => (await import("./sweep/execute.js")).execute));
}

function addSweepFlags(command: Command): void {
  command
    .option("-n, --name <name>", "name (default: sweep of the template)")
    .option("--project <name>", "of the sweep and its trials (default: the template's)")
    .option("-t, --template <task>", "what trials are cloned from")
    .option("-p, --param <Section/name=values>", "what to try: 1e-4..1:log, 1..8:1 (steps), 16,32,64; repeatable", collect)
    .option("--metric <name>", "what trials are compared by")
    .addOption(new Option("--goal <goal>", "whether more or less of it is better").choices(["max", "min"]))
    .addOption(new Option("--of <which>", "its last value, or the highest or lowest (default: last)").choices(["last", "max", "min"]))
    .addOption(new Option("--method <method>", "how to search (default: tpe)").choices(["grid", "random", "tpe", "asha"]))
    .option("--trials <n>", "how many at most", parseCount)
    .option("--time <duration>", "for all of them", parseDuration)
    .option("--trial-time <duration>", "for each", parseDuration)
    .option("--failures <n>", "so many failed ones end it (default: 10, or a quarter of the trials)", parseCount)
    .option("--parallel <n>", "trials at once (default: 4)", parseCount)
    .option("--early-stop", "end those that do badly before their end")
    .option("--target <value>", "over when one has reached this", Number)
    .option("--seed <n>", "the same seed tries the same (default: 1)", parseCount)
    .option("--trial-queue <queue>", "where trials run (default: where the template was, else default)");
}
