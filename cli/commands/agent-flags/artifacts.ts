import { type Command, Option } from "commander";
import type { AgentOptions } from "../../../agent/index.js";
import { parseSize } from "../../arguments.js";

/** Flags of where artifacts go and of what is kept of inputs. */
export interface ArtifactFlags {
  artifactStore?: string;
  maxInputs?: number;
}

/** Adds them. */
export function addArtifactFlags(command: Command): void {
  command
    .addOption(
      new Option(
        "--artifact-store <url>",
        "where artifacts go: file:///folder or s3://bucket/prefix (default: the object store of NATS)",
      ).env("NAVVY_ARTIFACT_STORE"),
    )
    .addOption(
      new Option(
        "--max-inputs <size>",
        "of inputs that are kept for the next task; what was not used for longest goes first (default: 20G)",
      )
        .argParser(parseSize)
        .env("NAVVY_MAX_INPUTS"),
    );
}

/** For the agent. */
export function artifactOptionsOf({ artifactStore, maxInputs }: ArtifactFlags): Pick<AgentOptions, "artifactStore" | "maxInputsBytes"> {
  return {
    ...(artifactStore === undefined ? {} : { artifactStore }),
    ...(maxInputs === undefined ? {} : { maxInputsBytes: maxInputs }),
  };
}
