import { type Command, Option } from "commander";
import type { OnDisconnect, ParameterValue, TaskSpec } from "../../protocol/index.js";
import { collect, collectParameter, collectVariable, parseCount, parseDuration, parseSize } from "../arguments.js";
import { onDisconnectOption } from "./on-disconnect.js";
import { addContainerFlags, type ContainerOptions } from "./task-flags/container.js";
import { addGitFlags, type GitOptions } from "./task-flags/git.js";
import { addResourceFlags, type ResourceOptions } from "./task-flags/resources.js";
import { addSecretFlags, type SecretOptions } from "./task-flags/secrets.js";
import { addSetupFlags, type SetupOptions } from "./task-flags/setup.js";

/** What a task is made of, as flags; used by `run`, `task create`, `task clone` and `task edit`. Times in milliseconds. */
export interface TaskOptions extends ContainerOptions, GitOptions, ResourceOptions, SecretOptions, SetupOptions {
  name?: string;
  project?: string;
  param?: Record<string, ParameterValue>;
  paramsAs?: NonNullable<TaskSpec["parametersAs"]>;
  type?: string;
  tag?: string[];
  comment?: string;
  env?: Record<string, string>;
  timeout?: number;
  retries?: number;
  grace?: number;
  logLimit?: number;
  onDisconnect?: OnDisconnect;
  input?: string[];
  artifactStore?: string;
  code?: string;
  dir?: string;
  shell?: string;
}

/** Adds the flags and the command after `--`. */
export function addTaskOptions(command: Command): void {
  command
    .argument("[command...]", "program and arguments; put them after --")
    .option("-n, --name <name>", "name (default: the program's)")
    .addOption(new Option("--project <name>", "project").env("NAVVY_PROJECT"))
    .addOption(
      new Option("-p, --param <Section/name=value>", "parameter; the value is JSON or text; repeatable").argParser(collectParameter),
    )
    .addOption(
      new Option("--params-as <form>", "parameters follow the command as arguments too: --lr 0.1, or lr=0.1 for Hydra").choices([
        "flags",
        "hydra",
      ]),
    )
    .option("--type <type>", "task type (default: training)")
    .option("--tag <tag>", "repeatable", collect)
    .option("--comment <text>", "a note for people")
    .addOption(
      new Option("-e, --env <KEY[=VALUE]>", "environment variable; without a value it is taken from here; repeatable").argParser(
        collectVariable,
      ),
    )
    .option("--timeout <duration>", "end it after this long: 90s, 15m, 4h", parseDuration)
    .option("--retries <n>", "try again so often when it fails by itself", parseCount)
    .option("--grace <duration>", "between SIGTERM and SIGKILL (default: 30s, or the time limit when that is less)", parseDuration)
    .addOption(
      new Option(
        "--log-limit <size>",
        "keep so much of its log, half from the start and half from the end (default: its agent's, 2G)",
      ).argParser(parseSize),
    )
    .addOption(onDisconnectOption("what its queue says, else freeze"))
    .option(
      "--input <name=task:artifact>",
      "an artifact of another task, or model:name[@version], at $NAVVY_INPUTS/name; repeatable",
      collect,
    )
    .option("--artifact-store <url>", "where its artifacts go: file:///folder or s3://bucket/prefix (default: the agent's)")
    .option("--code <dir>", "send this folder along (default: no code)")
    .option("--dir <path>", "working directory inside the code (with --git: where it is called)")
    .option("--shell <command>", "one string for sh -c, in place of a command after --");
  addSecretFlags(command);
  addResourceFlags(command);
  addGitFlags(command);
  addSetupFlags(command);
  addContainerFlags(command);
}
