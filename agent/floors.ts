import type { Beat } from "../protocol/index.js";
import type { AgentConfig } from "./config.js";

const MIB = 2 ** 20;

/** What must be left of the machine's disk and memory for new work to be taken. What runs is finished all the same. */
export class Floors {
  readonly #config: Pick<AgentConfig, "minFreeDiskBytes" | "minFreeMemoryBytes">;
  #reason: string | undefined;

  constructor(config: Pick<AgentConfig, "minFreeDiskBytes" | "minFreeMemoryBytes">) {
    this.#config = config;
  }

  /** Why nothing is taken right now. */
  get reason(): string | undefined {
    return this.#reason;
  }

  take({ disk, memory }: Pick<Beat, "disk" | "memory">): void {
    const { minFreeDiskBytes, minFreeMemoryBytes } = this.#config;
    const freeMemoryBytes = memory.totalBytes - memory.usedBytes;
    this.#reason =
      disk.totalBytes > 0 && disk.freeBytes <= minFreeDiskBytes
        ? short("disk", disk.freeBytes, minFreeDiskBytes)
        : memory.totalBytes > 0 && freeMemoryBytes <= minFreeMemoryBytes
          ? short("memory", freeMemoryBytes, minFreeMemoryBytes)
          : undefined;
  }
}

function short(what: string, freeBytes: number, floorBytes: number): string {
  return `only ${Math.round(freeBytes / MIB)} MiB of ${what} free, and ${Math.round(floorBytes / MIB)} MiB are to stay free`;
}
