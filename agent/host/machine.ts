import { statfs } from "node:fs/promises";
import { availableParallelism, cpus, hostname, loadavg, totalmem } from "node:os";
import type Systeminformation from "systeminformation";
import type { Beat, Gpu } from "../../protocol/index.js";
import type { GpuReading } from "./gpus/reading.js";
import { type GpuChoice, Gpus } from "./machine-gpus.js";
import { Load } from "./machine-load.js";
import { Network } from "./machine-network.js";
import { Refreshed } from "./machine-refreshed.js";

/** What is true of a machine for as long as its agent runs. */
export interface MachineFacts {
  host: string;
  /** As people call it: `Debian GNU/Linux 12 (x64)`. */
  os: string;
  /** Processors that this process may use. */
  cpus: number;
  memoryBytes: number;
  /** Size of the disk under the work folder; undefined when it did not answer. */
  diskBytes: number | undefined;
  /** The GPUs that tasks may be given, as of the start. */
  gpus: Gpu[];
}

/** What to look at on a machine. */
export interface MachineOptions {
  /** Folder whose disk is reported. */
  workDir: string;
  /** `auto`: what there is; `all`: what there is, and at least one; numbers: those indices. */
  gpus: GpuChoice;
  /** How long `nvidia-smi` may take in milliseconds. Default 5,000. */
  gpuTimeoutMs?: number;
  /** Told when the GPUs can not be read. */
  log?: { warn(detail: object, message: string): void };
}

/** The part of a beat that says how the machine does. */
export type MachineSample = Pick<Beat, "cpu" | "memory" | "disk" | "network" | "gpus">;

const DISK_EVERY_MS = 4_000;
/** A disk that does not answer (a dead network share) must not hold up the agent's start. */
const FIRST_DISK_MS = 2_000;

type SystemInformation = Pick<typeof Systeminformation, "mem">;

/**
 * The machine's figures, cheap enough for every beat: what can hang or forks (disk, GPUs) is refreshed behind the beats'
 * back and read from memory. Of systeminformation only what neither forks nor blocks is called in a beat.
 */
export class Machine {
  readonly facts: MachineFacts;
  readonly #system: SystemInformation;
  readonly #load = new Load();
  readonly #network: Network;
  readonly #gpus: Gpus;
  readonly #disk: Refreshed<Beat["disk"]>;

  /** @throws NavvyError not_found when a GPU that was asked for is not there */
  static async probe(options: MachineOptions): Promise<Machine> {
    const { default: system } = await import("systeminformation");
    const disk = new Refreshed(() => measureDisk(options.workDir), { everyMs: DISK_EVERY_MS, initial: { freeBytes: 0, totalBytes: 0 } });
    const [gpus, network, os] = await Promise.all([Gpus.probe(options), Network.probe(), system.osInfo(), disk.first(FIRST_DISK_MS)]);
    const facts = {
      host: hostname(),
      os: `${os.distro} ${os.release} (${process.arch})`,
      cpus: availableParallelism(),
      memoryBytes: totalmem(),
      diskBytes: disk.latest().totalBytes || undefined,
      gpus: gpus.latest(),
    };
    return new Machine(facts, { system, network, gpus, disk });
  }

  private constructor(
    facts: MachineFacts,
    parts: { system: SystemInformation; network: Network; gpus: Gpus; disk: Refreshed<Beat["disk"]> },
  ) {
    this.facts = facts;
    this.#system = parts.system;
    this.#network = parts.network;
    this.#gpus = parts.gpus;
    this.#disk = parts.disk;
  }

  /**
   * The GPUs that tasks may be given as they are right now, by their numbers, with who computes on them.
   * @throws NavvyError timeout, setup_failed: nothing is known of any
   */
  lookAtGpus(): Promise<Map<number, GpuReading>> {
    return this.#gpus.look();
  }

  /** The same with their figures as the last beat had them. */
  gpus(): Gpu[] {
    return this.#gpus.latest();
  }

  /** CPU use is in percent of all cores since the last sample, like a GPU's utilization. */
  async sample(): Promise<MachineSample> {
    const [memory, network] = await Promise.all([this.#system.mem(), this.#network.rates()]);
    return {
      cpu: { used: round(this.#load.percent()), cores: cpus().length, load1: round(loadavg()[0] ?? 0) },
      // What programs could still get counts as free, so the page cache is not "used".
      memory: { usedBytes: memory.total - memory.available, totalBytes: memory.total },
      disk: this.#disk.latest(),
      network,
      gpus: this.#gpus.latest(),
    };
  }
}

/** Asks the kernel about the one file system that matters; systeminformation would run `df` over all of them. */
async function measureDisk(folder: string): Promise<Beat["disk"]> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
