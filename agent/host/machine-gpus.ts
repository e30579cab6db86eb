import { type Gpu, isNavvyError, NavvyError } from "../../protocol/index.js";
import { amdQuery, listCards } from "./gpus/amd.js";
import { nvidiaQuery } from "./gpus/nvidia.js";
import type { GpuQuery, GpuReading } from "./gpus/reading.js";
import type { MachineOptions } from "./machine.js";
import { Refreshed } from "./machine-refreshed.js";

/** Which of a machine's GPUs its agent may use. */
export type GpuChoice = "auto" | "none" | "all" | number[];

const EVERY_MS = 5_000;
/** Figures older than this are left out: a GPU whose driver hangs does not have the temperature it had. */
const STALE_MS = 30_000;
const TIMEOUT_MS = 5_000;

/** The GPUs an agent may use, and how they do. */
export class Gpus {
  readonly #chosen: readonly Gpu[];
  readonly #query: GpuQuery;
  readonly #figures: Refreshed<readonly GpuReading[]>;

  /** @throws NavvyError not_found when a GPU that was asked for is not there, timeout when the vendor's tool hangs (not for `auto`) */
  static async probe({ gpus: choice, gpuTimeoutMs = TIMEOUT_MS, log }: MachineOptions): Promise<Gpus> {
    if (choice === "none") return new Gpus([], async () => []);
    try {
      const { found, query } = await find(gpuTimeoutMs);
      return new Gpus(choose(choice, found), query);
    } catch (error) {
      if (choice !== "auto") throw error;
      log?.warn({ err: error }, "the GPUs of this machine can not be read: it offers none");
      return new Gpus([], async () => []);
    }
  }

  private constructor(chosen: readonly Gpu[], query: GpuQuery) {
    this.#chosen = chosen;
    this.#query = query;
    // The probe has just measured.
    this.#figures = new Refreshed(async () => (await query({ processes: false })) ?? [], { everyMs: EVERY_MS, initial: chosen });
  }

  /** The chosen ones with their figures as last measured; without figures when those are old. */
  latest(): Gpu[] {
    if (this.#chosen.length === 0) return [];
    const figures = this.#figures.latest();
    const isStale = this.#figures.ageMs > STALE_MS;
    return this.#chosen.map((gpu) => {
      const seen = isStale ? undefined : figures.find((each) => isSame(each, gpu));
      return seen ? { ...seen, index: gpu.index } : identityOf(gpu);
    });
  }

  /**
   * The chosen ones as they are right now, by their numbers, with who uses them; one that its tool does not show is left out.
   * One that is broken can keep the tool from telling of any: then each is asked for by itself.
   * @throws NavvyError timeout, setup_failed: nothing is known of any
   */
  async look(): Promise<Map<number, GpuReading>> {
    const readings = await this.#query({ processes: true }).catch(async (error: unknown) => {
      if (!isNavvyError(error, "setup_failed") || this.#chosen.length < 2) throw error;
      const each = this.#chosen.map((gpu) => this.#query({ processes: true, id: gpu.uuid ?? String(gpu.index) }).catch(() => []));
      const found = (await Promise.all(each)).flatMap((some) => some ?? []);
      if (found.length === 0) throw error;
      return found;
    });
    if (readings === undefined) throw new NavvyError("setup_failed", "the tool that tells of them is gone");
    return new Map(
      this.#chosen.flatMap((gpu) => {
        const seen = readings.find((each) => isSame(each, gpu));
        return seen ? [[gpu.index, seen] as const] : [];
      }),
    );
  }
}

/** Numbers move when a GPU falls off the bus; UUIDs do not. */
function isSame(a: Gpu, b: Gpu): boolean {
  return a.uuid !== undefined && b.uuid !== undefined ? a.uuid === b.uuid : a.index === b.index;
}

async function find(timeoutMs: number): Promise<{ found: readonly Gpu[]; query: GpuQuery }> {
  for (const query of [nvidiaQuery(timeoutMs), amdQuery(timeoutMs)]) {
    const found = await query({ processes: false });
    if (found !== undefined) return { found, query };
  }
  return { found: await listCards(), query: listCards };
}

function identityOf({ index, name, uuid, memoryTotalBytes, vendor, mig }: Gpu): Gpu {
  return {
    ...{ index, name },
    ...(uuid !== undefined && { uuid }),
    ...(memoryTotalBytes !== undefined && { memoryTotalBytes }),
    ...(vendor !== undefined && { vendor }),
    ...(mig !== undefined && { mig }),
  };
}

function choose(choice: GpuChoice, found: readonly Gpu[]): readonly Gpu[] {
  const has = found.length === 0 ? "it has none" : `it has ${found.map((gpu) => gpu.index).join(", ")}`;
  const none = { why: "neither nvidia-smi nor rocm-smi tells of one", fix: ["nvidia-smi", "or start it without: --gpus none"] };
  if (choice === "all" && found.length === 0) {
    throw new NavvyError("not_found", "this machine has no GPU, and all of them were asked for", none);
  }
  if (!Array.isArray(choice)) return found;
  return choice.flatMap((index) => {
    // The number of a GPU that is cut into instances stands for all of them.
    const meant = found.filter((one) => one.index === index || one.mig?.parent === index);
    if (meant.length > 0) return meant;
    throw new NavvyError("not_found", `GPU ${index} is not on this machine: ${has}`, found.length === 0 ? none : { fix: "nvidia-smi" });
  });
}
