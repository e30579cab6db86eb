import { type Gpu, type Needs, needsOf, secretOfLabel, suits, type TaskSpec } from "../../protocol/index.js";
import { size } from "./quantities.js";
import { count } from "./words.js";

/** What a task needs, with its GPUs called as whoever asked for them wrote it. */
export function needsAsAsked(spec: TaskSpec): Needs {
  const { gpus, gpuModel } = spec.resources;
  return { ...needsOf(spec), ...(gpus > 0 && gpuModel !== undefined ? { gpuModel } : {}) };
}

/** `2 GPUs H100 of 40 GiB, 4 cpus, 16 GiB, disk 100 GiB, rack=b2, container`; undefined for a task that takes just a slot. */
export function needsWords(needs: Needs): string | undefined {
  const { gpus, gpuModel, gpuMemoryBytes, cpus, memoryBytes, diskBytes, labels = {}, container } = needs;
  const words = [
    gpus > 0 ? gpuWords(gpus, { gpuModel, gpuMemoryBytes }) : undefined,
    cpus === undefined ? undefined : count(cpus, "cpu"),
    memoryBytes === undefined ? undefined : `${size(memoryBytes)} of memory`,
    diskBytes === undefined ? undefined : `${size(diskBytes)} of disk`,
    ...Object.entries(labels).map(([key, value]) => {
      const secret = secretOfLabel(key);
      return secret === undefined ? `${key}=${value}` : `secret ${secret}`;
    }),
    container ? "a container" : undefined,
  ].filter(Boolean);
  return words.length > 0 ? words.join(", ") : undefined;
}

/** `2 H100 GPUs of 40 GiB`. */
export function gpuWords(gpus: number, { gpuModel, gpuMemoryBytes }: Pick<Needs, "gpuModel" | "gpuMemoryBytes">): string {
  const model = gpuModel === undefined ? "" : `${gpuModel} `;
  return `${gpus} ${model}GPU${gpus === 1 ? "" : "s"}${gpuMemoryBytes === undefined ? "" : ` of ${size(gpuMemoryBytes)}`}`;
}

/** What GPUs there are: `no GPU`, `2 GPUs of 24 GiB`, `1 NVIDIA A10G of 24 GiB and 2 NVIDIA H100 of 80 GiB`. */
export function gpuKinds(gpus: readonly Gpu[], needs: Needs): string {
  if (gpus.length === 0) return "no GPU";
  const kinds = new Map<string, number>();
  const isByName = needs.gpuModel !== undefined || new Set(gpus.map((gpu) => gpu.name)).size > 1;
  for (const gpu of gpus) {
    const of = gpu.memoryTotalBytes === undefined ? "" : ` of ${size(gpu.memoryTotalBytes)}`;
    const kind = `${isByName ? gpu.name : "GPU"}|${of}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds]
    .map(([kind, n]) => {
      const [name = "", of = ""] = kind.split("|");
      return `${name === "GPU" ? count(n, "GPU") : `${n} ${name}`}${of}`;
    })
    .join(" and ");
}

/** How many of the GPUs are as a task wants them. */
export function suitable(gpus: readonly Gpu[], needs: Needs): Gpu[] {
  return gpus.filter((gpu) => suits(needs, gpu));
}
