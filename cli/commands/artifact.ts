import type { Command } from "commander";
import { act } from "../call.js";

const TASK = "id, suffix of it, name, project/name, or @last";

/** Flags of `navvy artifact get`. */
export interface ArtifactGetOptions {
  /** File or folder. */
  to: string;
}

/** Flags of `navvy artifact put`. */
export interface ArtifactPutOptions {
  name?: string;
  task?: string;
}

/** `navvy artifact` */
export function artifactCommand(program: Command): void {
  const artifact = program.command("artifact").alias("artifacts").description("files that tasks produced");
  artifact
    .command("ls")
    .description("list a task's artifacts")
    .argument("<task>", TASK)
    .action(act(async () => (await import("./artifact/artifact.js")).list));
  artifact
    .command("get")
    .description("download an artifact (all of them without a name), verified")
    .argument("<task>", TASK)
    .argument("[name]", "artifact")
    .option("--to <path>", "file or folder", ".")
    .action(act(async () => (await import("./artifact/artifact.js")).get));
  artifact
    .command("cat")
    .description("print an artifact")
    .argument("<task>", TASK)
    .argument("<name>", "artifact")
    .action(act(async () => (await import("./artifact/artifact.js")).cat));
  artifact
    .command("put")
    .description("store a file; prints its sha256")
    .argument("<file>")
    .option("--task <task>", "make it an input of this draft")
    .option("--name <name>", "its name there (default: the file's)")
    .action(act(async () => (await import("./artifact/artifact.js")).put));
}
