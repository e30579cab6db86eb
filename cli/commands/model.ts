import type { Command } from "commander";
import { act } from "../call.js";

/** Flags of `navvy model ls`. */
export interface ModelListOptions {
  project?: string;
}

/** Flags of `navvy model get`. */
export interface ModelGetOptions {
  to: string;
}

/** `navvy model` */
export function modelCommand(program: Command): void {
  const model = program.command("model").alias("models").description("models that tasks produced, by name and version");
  model
    .command("ls")
    .description("list them across tasks, the newest first")
    .argument("[name]", "of this name only")
    .option("--project <name>", "of tasks of this project only")
    .action(act(async () => (await import("./model/model.js")).list));
  model
    .command("get")
    .description("download one, verified")
    .argument("<model>", "NAME, or NAME@VERSION")
    .option("--to <path>", "file or folder", ".")
    .action(act(async () => (await import("./model/model.js")).get));
}
