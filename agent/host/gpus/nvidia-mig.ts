import { figure, type GpuProcess, type GpuReading, known, MIB } from "./reading.js";

const GIB = 1024 * MIB;

/**
 * The instances of a GPU that is cut into some (MIG), numbered 100 × (the GPU's number + 1) + their number on it: so a number
 * means the same with and without instances. Their UUIDs stand in `nvidia-smi -L`, their memory and processes in `-q -x`.
 */
export function instancesOf(gpu: GpuReading, from: { list: string; details: string; processes: boolean }): GpuReading[] {
  const section = sectionOf(from.list, gpu.uuid ?? "");
  const details = detailsOf(from.details, gpu.uuid ?? "");
  return [...section.matchAll(/^\s+MIG\s+(\S+)\s+Device\s+(\d+):\s+\(UUID:\s*(\S+)\)/gm)].map(
    ([, profile = "", number = "0", uuid = ""]) => {
      const device = Number(number);
      const seen = details.get(device);
      return {
        index: 100 * (gpu.index + 1) + device,
        name: gpu.name,
        uuid,
        mig: { parent: gpu.index, device, profile },
        ...known({ memoryTotalBytes: seen?.memoryTotalBytes ?? sizeOf(profile), memoryUsedBytes: seen?.memoryUsedBytes }),
        ...(gpu.temperatureC === undefined ? {} : { temperatureC: gpu.temperatureC }),
        ...(from.processes ? { processes: seen?.processes } : {}),
      };
    },
  );
}

/** `3g.20gb` has 20 GiB. */
function sizeOf(profile: string): number | undefined {
  return figure(/\.(\d+)gb/.exec(profile)?.[1], GIB);
}

/** The lines of one GPU in `nvidia-smi -L`. */
function sectionOf(list: string, uuid: string): string {
  return list.split(/^(?=GPU )/m).find((each) => each.includes(uuid)) ?? "";
}

interface Details {
  memoryTotalBytes: number | undefined;
  memoryUsedBytes: number | undefined;
  processes: GpuProcess[];
}

/** By the instance's number: what `nvidia-smi -q -x` tells of it. */
function detailsOf(xml: string, uuid: string): Map<number, Details> {
  const gpu = all(xml, "gpu").find((each) => all(each, "uuid")[0]?.trim() === uuid) ?? "";
  const processes = all(all(gpu, "processes")[0] ?? "", "process_info");
  return new Map(
    all(gpu, "mig_device").map((device) => {
      const memory = all(device, "fb_memory_usage")[0] ?? "";
      const place = placeOf(device);
      const own = processes.filter((each) => placeOf(each) === place);
      return [
        Number(text(device, "index")),
        {
          memoryTotalBytes: figure(text(memory, "total"), MIB),
          memoryUsedBytes: figure(text(memory, "used"), MIB),
          processes: own.map((each) => ({ pid: Number(text(each, "pid")), name: text(each, "process_name") })),
        },
      ];
    }),
  );
}

/** What names an instance within its GPU. */
function placeOf(xml: string): string {
  return `${text(xml, "gpu_instance_id")}.${text(xml, "compute_instance_id")}`;
}

/** The contents of every element of that name; none of those that are read here stands within another one of its name. */
function all(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, "g"))].map(([, content = ""]) => content);
}

function text(xml: string, name: string): string | undefined {
  return all(xml, name)[0]?.trim();
}
