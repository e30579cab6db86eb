import { type Command, InvalidArgumentError } from "commander";
import { act } from "../call.js";

const RUN = "id of the run's task, a suffix of it, its name, or @last";

/** `navvy pipeline` */
export function pipelineCommand(program: Command): void {
  const pipeline = program.command("pipeline").description("run graphs of tasks, look at their runs, and have a say in them");
  pipeline
    .command("ls")
    .description("runs of pipelines, newest first")
    .argument("[name]")
    .option("--project <name>")
    .option("--limit <n>", "how many", parseCount, 20)
    .action(act(async () => (await import("./pipeline/ls.js")).list));
  pipeline
    .command("show")
    .description("one run: its steps, their tasks, and why each is as it is")
    .argument("<run>", RUN)
    .action(act(async () => (await import("./pipeline/show.js")).show));
  pipeline
    .command("watch")
    .description("each change of each step, until the run has ended; its exit code")
    .argument("<run>", RUN)
    .action(act(async () => (await import("./pipeline/watch.js")).watch));
  pipeline
    .command("retry")
    .description("run again what did not succeed and all that comes after it")
    .argument("<run>", RUN)
    .option("--from <step>", "that step and what comes after it, whatever became of them")
    .action(act(async () => (await import("./pipeline/retry.js")).retry));
  pipeline
    .command("approve")
    .description("say yes to a step that waits for a person")
    .argument("<run>", RUN)
    .argument("<step>")
    .option("--refuse", "say no: the step fails")
    .option("--comment <text>")
    .action(act(async () => (await import("./pipeline/approve.js")).approve));
  pipeline
    .command("abort")
    .description("end a run and all that it runs")
    .argument("<run...>", RUN)
    .option("--reason <text>")
    .action(act(async () => (await import("./task/move.js")).abort));
  pipeline
    .command("execute", { hidden: true })
    .description("what the controller of a pipeline runs")
    .action(act(async () => (await import("./pipeline/execute.js")).execute));
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new InvalidArgumentError("a whole number of 1 or more is wanted.");
}
