import { type Command } from "commander";
import { act } from "../call.js";
import { addTaskOptions, type TaskOptions } from "./task-options.js";

/** Flags of `navvy autoscale run`. */
export interface AutoscaleRunFlags extends TaskOptions {
  queue: string;
  dryRun?: boolean;
}

const FILE_HELP = `
A file (YAML or JSON):

  queue: gpu                 # whose waiting tasks need machines
  agents: cloud-             # how the names of the agents begin that it starts; only those are stopped
  max: 4                     # machines at most; min: 0
  slots: 1                   # tasks that one machine runs at once
  start: {command: ./start.sh, timeout: 10m}    # gets NAMES, COUNT, QUEUE, NEEDS (JSON): starts an agent of each name
  stop: {command: ./stop.sh}                    # gets NAME, QUEUE: the agent has been drained
  waiting: 30s               # tasks that have waited so long need a machine
  idle: 10m                  # an agent that has been idle so long is stopped
  cooldown: 1m               # between two starts

The commands run where the autoscaler runs: send their folder with --code, their credentials with -e or --secret.`;

/** `navvy autoscale` */
export function autoscaleCommand(program: Command): void {
  const autoscale = program
    .command("autoscale")
    .description("have machines started and stopped by commands, as queues fill and agents idle");
  const run = autoscale
    .command("run")
    .description("start an autoscaler on the services queue")
    .argument("<file>", "YAML or JSON")
    .option("-q, --queue <queue>", "where the autoscaler itself runs", "services")
    .option("--dry-run", "only say in its log what it would do");
  addTaskOptions(run);
  run
    .usage("[options] FILE")
    .addHelpText("after", FILE_HELP)
    .action(act(async () => (await import("./autoscale/run.js")).run));
  autoscale
    .command("check")
    .description("say what is wrong with a file, and start nothing")
    .argument("<file>", "YAML or JSON")
    .addHelpText("after", FILE_HELP)
    .action(act(async () => (await import("./autoscale/run.js")).check));
  autoscale
    .command("execute", { hidden: true })
    .description("what an autoscaler's task runs")
    .action(act(async () => (await import("./autoscale/execute.js")).execute));
}
