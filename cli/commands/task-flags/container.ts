import { type Command, InvalidArgumentError, Option } from "commander";
import { collect, parseCount, parseSize } from "../../arguments.js";

/** Flags of a task that runs in a container. */
export interface ContainerOptions {
  image?: string;
  pull?: "missing" | "always" | "never";
  runAs?: string;
  entrypoint?: string;
  network?: string;
  shm?: number;
  pids?: number;
  mount?: { source: string; target: string; readOnly: boolean }[];
  dockerArg?: string[];
}

/** Adds them. */
export function addContainerFlags(command: Command): void {
  command
    .option("--image <image>", "run it in a container of this image")
    .addOption(new Option("--pull <policy>", "when the image is fetched (default: missing)").choices(["missing", "always", "never"]))
    .option("--run-as <user>", "in the container: self (the agent's user), image, or uid[:gid] (default: self)")
    .option("--entrypoint <program>", "in place of the image's own; '' for none")
    .option("--network <network>", "of the container")
    .option("--shm <size>", "of /dev/shm in the container", parseSize)
    .option("--pids <n>", "most processes and threads in the container", parseCount)
    .option("--mount <source:target[:rw]>", "a folder of the host, where its agent allows it; repeatable", collectMount)
    .option("--docker-arg <arg>", "another argument for the engine, where its agent allows it; repeatable", collect);
}

function collectMount(text: string, before: NonNullable<ContainerOptions["mount"]> = []): NonNullable<ContainerOptions["mount"]> {
  const [source = "", target = "", mode, ...more] = text.split(":");
  const isWell = source.startsWith("/") && target.startsWith("/") && more.length === 0 && (mode === undefined || /^r[ow]$/.test(mode));
  if (!isWell) throw new InvalidArgumentError("/SOURCE:/TARGET or /SOURCE:/TARGET:rw is wanted, with full paths.");
  return [...before, { source, target, readOnly: mode !== "rw" }];
}
