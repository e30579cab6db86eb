import type { Command } from "commander";
import { act } from "../call.js";

const FILE = "pipeline file";

/** `navvy pipeline` */
export function pipelineCommand(program: Command): void {
  const pipeline = program
    .command("pipeline")
    .aliases(["pipelines", "p"])
    .description("steps that follow each other: files of them, and their runs");
  files(pipeline);
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
