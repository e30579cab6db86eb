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
  store?: string;
}

/** `navvy artifact` */
export function artifactCommand(program: Command): void {
  const artifact = program.command("artifact").alias("artifacts").description("files and folders that tasks produced");
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
    .description("print an artifact, or a file of one that is a folder")
    .argument("<task>", TASK)
    .argument("<name>", "artifact, or folder/path")
    .action(act(async () => (await import("./artifact/artifact.js")).cat));
  artifact
    .command("verify")
    .description("read what is stored and check it against its hash")
    .argument("<task>", TASK)
    .argument("[name]", "artifact (default: all of them)")
    .action(act(async () => (await import("./artifact/artifact.js")).verify));
  artifact
    .command("put")
    .description("store a file or a folder; prints its sha256")
    .argument("<path>")
    .option("--task <task>", "make it an input of this draft")
    .option("--name <name>", "its name there (default: the file's)")
    .option("--store <url>", "file:///folder or s3://bucket/prefix (default: the object store of NATS)")
    .action(act(async () => (await import("./artifact/artifact.js")).put));
}
