import { type Command, InvalidArgumentError } from "commander";
import { act } from "../call.js";

const FILE = "pipeline file";
const RUN = "id of the run's task, a suffix of it, its name, or @last";

/** `navvy pipeline` */
export function pipelineCommand(program: Command): void {
  const pipeline = program
    .command("pipeline")
    .aliases(["pipelines", "p"])
    .description("steps that follow each other: files of them, and their runs");
  files(pipeline);
  runs(pipeline);
}

function runs(pipeline: Command): void {
  pipeline
    .command("run")
    .description("run a pipeline file: its controller goes to the services queue")
    .argument("<file>", FILE)
    .option("-p, --param <name=value>", "a parameter of the pipeline; repeatable", collect, [])
    .option("-q, --queue <name>", "where its controller goes", "services")
    .option("--no-cache", "run steps that could be taken from the cache")
    .option("--local", "the controller and its steps here, as processes of this machine")
    .option("-d, --detach", "do not wait for its end")
    .option("--dry-run", "print what would be run, and run nothing")
    .action(act(async () => (await import("./pipeline/run.js")).run));
  pipeline
    .command("ls")
    .description("runs of pipelines, newest first")
    .argument("[name]")
    .option("--project <name>", "of this project")
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
    .option("--comment <text>", "why, for the run's page")
    .action(act(async () => (await import("./pipeline/approve.js")).approve));
  pipeline
    .command("abort")
    .description("end a run and all that it runs")
    .argument("<run...>", RUN)
    .option("--reason <text>", "for its record")
    .action(act(async () => (await import("./task/move.js")).abort));
  pipeline
    .command("execute", { hidden: true })
    .description("what the controller of a pipeline runs")
    .action(act(async () => (await import("./pipeline/execute.js")).execute));
}

function files(pipeline: Command): void {
  pipeline
    .command("init")
    .description("write a pipeline file to begin with")
    .argument("[file]", FILE, "pipeline.yaml")
    .option("--force", "also over a file that is there")
    .action(act(async () => (await import("./pipeline/init.js")).init));
  pipeline
    .command("check")
    .description("tell all that is wrong with pipeline files; exits with 2 if something is")
    .argument("<file...>", FILE)
    .action(act(async () => (await import("./pipeline/check.js")).check));
  pipeline
    .command("graph")
    .description("draw a pipeline; with -o json the graph that its file is compiled to")
    .argument("<file>", FILE)
    .option("--mermaid", "as a diagram for Markdown")
    .action(act(async () => (await import("./pipeline/graph.js")).graph));
  pipeline
    .command("schema")
    .description("print the JSON Schema of pipeline files, for editors")
    .action(act(async () => (await import("./pipeline/schema.js")).schema));
}

const collect = (value: string, before: string[]) => [...before, value];

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new InvalidArgumentError("a whole number of 1 or more is wanted.");
}
