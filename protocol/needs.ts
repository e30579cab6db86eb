import { z } from "zod";
import { HAS_SECRET, secretLabel } from "./secrets.js";
import { Resources, type TaskSpec } from "./task-spec.js";

/** All that must be matched before a task is taken: what it asks of a machine, and whether it runs in a container. */
export const Needs = Resources.extend({ container: z.boolean().optional() });
export type Needs = z.infer<typeof Needs>;

/** What a GPU shows of itself to whoever matches. */
export interface OfferedGpu {
  name: string;
  memoryTotalBytes?: number | undefined;
}

/** What a machine has to give when nothing runs on it. */
export interface Offer {
  gpus: readonly OfferedGpu[];
  cpus: number;
  memoryBytes: number;
  /** Size of the disk under its work folder; absent: not known, so it stands in nobody's way. */
  diskBytes?: number | undefined;
  labels: Readonly<Record<string, string>>;
  /** Whether it has a container engine. */
  container: boolean;
}

/** What of a task's needs a machine can never give. `gpus`: `matching` of its GPUs are as the task wants them. */
export type Misfit =
  | { kind: "gpus"; matching: number }
  | { kind: "cpus" | "memory" | "disk" | "container" }
  | { kind: "label"; key: string; value: string };

/**
 * A card has less memory than it is sold with: the driver and error correction keep some (23,028 MiB of 24 GiB, 15,109 of
 * 16). One that has this share of what is asked for counts as having all of it.
 */
const SOLD_AS = 0.92;

/** What a task needs, without what it does not say: the same needs are always written the same way. */
export function needsOf(spec: Pick<TaskSpec, "resources" | "container" | "secrets">): Needs {
  const { gpus, gpuMemoryBytes, gpuModel, cpus, memoryBytes, diskBytes, labels = {} } = spec.resources;
  const secrets = Object.values(spec.secrets ?? {}).map(({ secret }): [string, string] => [secretLabel(secret), HAS_SECRET]);
  const sorted = Object.entries({ ...labels, ...Object.fromEntries(secrets) }).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    gpus,
    ...(gpus > 0 && gpuMemoryBytes !== undefined ? { gpuMemoryBytes } : {}),
    ...(gpus > 0 && gpuModel !== undefined ? { gpuModel: gpuModel.trim().toLowerCase() } : {}),
    ...(cpus === undefined ? {} : { cpus }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(diskBytes === undefined ? {} : { diskBytes }),
    ...(sorted.length > 0 ? { labels: Object.fromEntries(sorted) } : {}),
    ...(spec.container === undefined ? {} : { container: true }),
  };
}

/** Whether a GPU is as a task wants it. */
export function suits(needs: Needs, gpu: OfferedGpu): boolean {
  const { gpuMemoryBytes, gpuModel } = needs;
  const isLarge = gpuMemoryBytes === undefined || (gpu.memoryTotalBytes ?? 0) >= gpuMemoryBytes * SOLD_AS;
  return isLarge && (gpuModel === undefined || isCalled(gpu.name, gpuModel));
}

/** Part of the name, or parts of it with `*` between them. */
function isCalled(name: string, model: string): boolean {
  let from = 0;
  for (const part of model.trim().toLowerCase().split("*")) {
    const at = name.toLowerCase().indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return true;
}

/** What a machine can never give a task, however idle it is; empty: it can run it. */
export function misfitsOf(needs: Needs, offer: Offer): Misfit[] {
  const matching = offer.gpus.filter((gpu) => suits(needs, gpu)).length;
  const lacks: Misfit[] = Object.entries(needs.labels ?? {})
    .filter(([key, value]) => offer.labels[key] !== value)
    .map(([key, value]) => ({ kind: "label", key, value }));
  if (matching < needs.gpus) lacks.unshift({ kind: "gpus", matching });
  if ((needs.cpus ?? 0) > offer.cpus) lacks.push({ kind: "cpus" });
  if ((needs.memoryBytes ?? 0) > offer.memoryBytes) lacks.push({ kind: "memory" });
  if ((needs.diskBytes ?? 0) > (offer.diskBytes ?? Number.POSITIVE_INFINITY)) lacks.push({ kind: "disk" });
  if (needs.container && !offer.container) lacks.push({ kind: "container" });
  return lacks;
}
