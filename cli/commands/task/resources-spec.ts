import { NavvyError, type Resources, type TaskSpec } from "../../../protocol/index.js";
import type { ResourceOptions } from "../task-flags/resources.js";

/** What the flags ask of a machine, over what `before` asked. @throws NavvyError invalid_argument for what only makes sense with GPUs */
export function resourcesSpecOf(options: ResourceOptions, before?: TaskSpec): Pick<TaskSpec, "resources"> | undefined {
  const { gpus, gpuMem, gpuModel, cpus, mem, disk, label } = options;
  const said = {
    ...(gpus === undefined ? {} : { gpus }),
    ...(gpuMem === undefined ? {} : { gpuMemoryBytes: gpuMem }),
    ...(gpuModel === undefined ? {} : { gpuModel }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(mem === undefined ? {} : { memoryBytes: mem }),
    ...(disk === undefined ? {} : { diskBytes: disk }),
    ...(label === undefined ? {} : { labels: { ...before?.resources.labels, ...label } }),
  };
  if (Object.keys(said).length === 0) return undefined;
  const resources: Resources = { gpus: 0, ...before?.resources, ...said };
  const alone = gpuMem === undefined ? gpuModel !== undefined && "--gpu-model" : "--gpu-mem";
  if (resources.gpus === 0 && alone)
    throw new NavvyError("invalid_argument", `${alone} is about a GPU, and none was asked for`, { fix: "--gpus 1" });
  return { resources };
}
