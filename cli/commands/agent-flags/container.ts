import { type Command, InvalidArgumentError, Option } from "commander";
import { collect } from "../../arguments.js";

/** Flags of an agent that runs tasks in containers. */
export interface AgentContainerOptions {
  runtime?: "auto" | "docker" | "podman" | "nerdctl" | "process";
  hostWorkDir?: string;
  containerArg?: string[];
  allowContainerArg?: string[];
  allowMount?: { path: string; readOnly: boolean }[];
  allowNetwork?: string[];
}

/** Adds them. */
export function addAgentContainerFlags(command: Command): void {
  command
    .addOption(
      new Option("--runtime <engine>", "what runs tasks with an image (default: auto, the first engine that answers)")
        .choices(["auto", "docker", "podman", "nerdctl", "process"])
        .env("NAVVY_RUNTIME"),
    )
    .addOption(
      new Option("--host-work-dir <dir>", "for an agent in a container: where the host has its work folder").env("NAVVY_HOST_WORK_DIR"),
    )
    .option("--container-arg <arg>", "an argument that every container is made with; repeatable", collect)
    .option("--allow-container-arg <pattern>", "an argument that tasks may give, as in --ulimit or --cap-add=SYS_*; repeatable", collect)
    .option("--allow-mount <dir[:rw]>", "a folder of this host that tasks may mount, with all below it; repeatable", collectAllowed)
    .option("--allow-network <name>", "a network that tasks may join, beside none and bridge; repeatable", collect);
}

/** The agent's options that they mean. */
export function containerConfigOf(options: AgentContainerOptions) {
  const { runtime, hostWorkDir, containerArg = [], allowContainerArg = [], allowMount = [], allowNetwork = [] } = options;
  return {
    ...(runtime === undefined ? {} : { runtime }),
    ...(hostWorkDir === undefined ? {} : { hostWorkDir }),
    containers: { args: containerArg, allowArgs: allowContainerArg, allowMounts: allowMount, allowNetworks: allowNetwork },
  };
}

function collectAllowed(text: string, before: { path: string; readOnly: boolean }[] = []): { path: string; readOnly: boolean }[] {
  const [, path = "", mode] = /^(\/.*?)(:r[ow])?$/.exec(text) ?? [];
  if (path === "") throw new InvalidArgumentError("A full path is wanted: /data, or /data:rw for one that may be written.");
  return [...before, { path, readOnly: mode !== ":rw" }];
}
