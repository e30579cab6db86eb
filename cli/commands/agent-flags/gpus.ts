import { type Command, Option } from "commander";
import { parseGpus } from "../../arguments.js";

/** Flags of an agent about the GPUs of its machine. */
export interface AgentGpuOptions {
  gpus: "auto" | "none" | "all" | number[];
  shareGpus?: boolean;
  gpuLocks?: string;
}

/** Adds them. */
export function addAgentGpuFlags(command: Command): void {
  command
    .addOption(
      new Option("--gpus <which>", "auto, none, all, or numbers: 0,1").default("auto").argParser(parseGpus).env("NAVVY_AGENT_GPUS"),
    )
    .option("--share-gpus", "give out GPUs that other agents here or other programs use too")
    .addOption(
      new Option("--gpu-locks <dir>", "where agents of this host tell each other which GPUs they hold (default: below /run/lock)").env(
        "NAVVY_GPU_LOCKS",
      ),
    );
}
