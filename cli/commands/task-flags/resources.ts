import { type Command, InvalidArgumentError } from "commander";
import { collectPair, parseCount, parseSize } from "../../arguments.js";

/** Flags of what a task asks of a machine. Sizes in bytes. */
export interface ResourceOptions {
  gpus?: number;
  gpuMem?: number;
  gpuModel?: string;
  cpus?: number;
  mem?: number;
  disk?: number;
  label?: Record<string, string>;
}

/** Adds them. */
export function addResourceFlags(command: Command): void {
  command
    .option("--gpus <n>", "GPUs of its own", parseCount)
    .option("--gpu-mem <size>", "memory that each of its GPUs has at least: 40G", parsePositiveSize)
    .option("--gpu-model <name>", "what its GPUs are called: part of the name, or parts with * between: H100", parseModel)
    .option("--cpus <n>", "processors for it, also parts of one: 0.5", parseShare)
    .option("--mem <size>", "memory for it: 16G", parsePositiveSize)
    .option("--disk <size>", "free disk for it where it runs: 100G", parsePositiveSize)
    .option("--label <k=v>", "what its agent must carry (navvy agent start --label); repeatable", collectPair);
}

function parsePositiveSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes > 0) return bytes;
  throw new InvalidArgumentError("More than nothing is wanted; leave the flag out to ask for nothing.");
}

function parseShare(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  throw new InvalidArgumentError("A number such as 4 or 0.5 is wanted.");
}

function parseModel(text: string): string {
  if (text.trim() !== "") return text.trim();
  throw new InvalidArgumentError("Part of a GPU's name is wanted, such as H100.");
}
