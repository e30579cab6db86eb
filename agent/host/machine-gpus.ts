import { type Gpu, NavvyError } from "../../protocol/index.js";
import type { MachineOptions } from "./machine.js";
import { Refreshed } from "./machine-refreshed.js";

/** Which of a machine's GPUs its agent may use. */
export type GpuChoice = "auto" | "none" | "all" | number[];

const EVERY_MS = 5_000;
/** Figures older than this are left out: a GPU whose driver hangs does not have the temperature it had. */
const STALE_MS = 30_000;
const TIMEOUT_MS = 5_000;
/** Between asking `nvidia-smi` to end and killing it. */
const KILL_AFTER_MS = 500;
const MIB = 1024 * 1024;
const COLUMNS = "index,name,uuid,memory.total,memory.used,utilization.gpu,temperature.gpu,power.draw";

/** The GPUs an agent may use, and how they do. */
export class Gpus {
  readonly #chosen: readonly Gpu[];
  readonly #figures: Refreshed<readonly Gpu[]>;

  /** @throws NavvyError not_found when a GPU that was asked for is not there, timeout when `nvidia-smi` hangs (not for `auto`) */
  static async probe({ gpus: choice, gpuTimeoutMs = TIMEOUT_MS, log }: MachineOptions): Promise<Gpus> {
    const query = () => queryNvidia(gpuTimeoutMs);
    if (choice === "none") return new Gpus([], query);
    try {
      return new Gpus(choose(choice, (await query()) ?? (await listOthers())), query);
    } catch (error) {
      if (choice !== "auto") throw error;
      log?.warn({ err: error }, "the GPUs of this machine can not be read: it offers none");
      return new Gpus([], query);
    }
  }

  private constructor(chosen: readonly Gpu[], query: () => Promise<readonly Gpu[] | undefined>) {
    this.#chosen = chosen;
    // The probe has just measured.
    this.#figures = new Refreshed(async () => (await query()) ?? [], { everyMs: EVERY_MS, initial: chosen });
  }

  /** The chosen ones with their figures as last measured; without figures when those are old. */
  latest(): Gpu[] {
    if (this.#chosen.length === 0) return [];
    const figures = new Map(this.#figures.latest().map((gpu) => [gpu.index, gpu]));
    const isStale = this.#figures.ageMs > STALE_MS;
    return this.#chosen.map((gpu) => (isStale ? undefined : figures.get(gpu.index)) ?? identityOf(gpu));
  }
}

function identityOf({ index, name, uuid, memoryTotalBytes }: Gpu): Gpu {
  return { index, name, ...(uuid !== undefined && { uuid }), ...(memoryTotalBytes !== undefined && { memoryTotalBytes }) };
}

function choose(choice: GpuChoice, found: readonly Gpu[]): readonly Gpu[] {
  const has = found.length === 0 ? "it has none" : `it has ${found.map((gpu) => gpu.index).join(", ")}`;
  if (choice === "all" && found.length === 0) {
    throw new NavvyError("not_found", "this machine has no GPU, and all of them were asked for", { fix: "nvidia-smi" });
  }
  if (!Array.isArray(choice)) return found;
  return choice.map((index) => {
    const gpu = found.find((one) => one.index === index);
    if (gpu === undefined) throw new NavvyError("not_found", `GPU ${index} is not on this machine: ${has}`, { fix: "nvidia-smi" });
    return gpu;
  });
}

/**
 * Undefined when there is no `nvidia-smi`.
 *
 * @throws NavvyError timeout, setup_failed (it ended with an error: mostly a driver that does not match)
 */
async function queryNvidia(timeoutMs: number): Promise<Gpu[] | undefined> {
  const { execa } = await import("execa");
  const asked = execa("nvidia-smi", [`--query-gpu=${COLUMNS}`, "--format=csv,noheader,nounits"], {
    reject: false,
    stdin: "ignore",
    timeout: timeoutMs,
    forceKillAfterDelay: KILL_AFTER_MS,
  });
  // A process that hangs inside the driver can not even be killed, and a child of it may hold the pipe open: not waited for.
  const result = await Promise.race([asked, giveUpAfter(timeoutMs + 2 * KILL_AFTER_MS)]);
  if (result === undefined || result.timedOut)
    throw new NavvyError("timeout", `nvidia-smi gave no answer within ${timeoutMs} ms`, { fix: "nvidia-smi" });
  if (result.code === "ENOENT") return undefined;
  if (result.failed)
    throw new NavvyError("setup_failed", `nvidia-smi failed: ${firstLine(result.stdout || result.stderr)}`, { fix: "nvidia-smi" });
  return result.stdout.split("\n").flatMap(parseRow);
}

function giveUpAfter(delayMs: number): Promise<undefined> {
  // Not kept alive for: an agent that ends does not wait for it.
  return new Promise((resolve) => setTimeout(() => resolve(undefined), delayMs).unref());
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0] ?? "";
}

function parseRow(row: string): Gpu[] {
  const [index, name, uuid, total, used, utilization, temperature, power] = row.split(",").map((cell) => cell.trim());
  if (index === undefined || !/^\d+$/.test(index) || name === undefined) return [];
  const figures = {
    memoryTotalBytes: figure(total, MIB),
    memoryUsedBytes: figure(used, MIB),
    utilization: figure(utilization),
    temperatureC: figure(temperature),
    powerW: figure(power),
  };
  const known = Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined));
  return [{ index: Number(index), name, ...(uuid && { uuid }), ...known }];
}

/** What a GPU can not tell stands as `[N/A]` or `[Not Supported]`. */
function figure(cell: string | undefined, unit = 1): number | undefined {
  const value = Number.parseFloat(cell ?? "");
  return Number.isFinite(value) ? value * unit : undefined;
}

/** A processor's built-in graphics have less of their own. */
const LEAST_MEMORY_MIB = 4096;

/** Cards of other makers. Never asked where there is an `nvidia-smi`: systeminformation would run it without a time limit. */
async function listOthers(): Promise<Gpu[]> {
  const { default: system } = await import("systeminformation");
  const { controllers } = await system.graphics();
  return controllers
    .filter(({ vendor, vram }) => /\b(AMD|ATI|Advanced Micro)\b/i.test(vendor) && (vram ?? 0) >= LEAST_MEMORY_MIB)
    .map(({ model, vram }, index) => ({ index, name: model, memoryTotalBytes: (vram ?? 0) * MIB }));
}
