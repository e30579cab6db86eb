import { isNavvyError } from "../../../protocol/index.js";
import { instancesOf } from "./nvidia-mig.js";
import { figure, type GpuProcess, type GpuQuery, type GpuReading, known, MIB } from "./reading.js";
import { Tool } from "./tool.js";

const COLUMNS = "index,name,uuid,memory.total,memory.used,utilization.gpu,temperature.gpu,power.draw";
const FORMAT = "--format=csv,noheader,nounits";

/** Asks `nvidia-smi`. A GPU that is cut into instances (MIG) is left out, its instances stand in its place. */
export function nvidiaQuery(timeoutMs: number): GpuQuery {
  const tool = new Tool("nvidia-smi", timeoutMs);
  /** Drivers before 450 do not know the word. */
  let knowsMig = true;
  const rows = async (columns: string, id: string[]) => tool.ask([`--query-gpu=${columns}`, FORMAT, ...id]);
  return async ({ processes, id }) => {
    const only = id === undefined ? [] : [`--id=${id}`];
    const [text, apps] = await Promise.all([
      rows(knowsMig ? `${COLUMNS},mig.mode.current` : COLUMNS, only).catch((error: unknown) => {
        if (!knowsMig || !isNavvyError(error, "setup_failed") || !error.message.includes("mig.mode")) throw error;
        knowsMig = false;
        return rows(COLUMNS, only);
      }),
      processes ? tool.ask([`--query-compute-apps=gpu_uuid,pid,process_name`, FORMAT, ...only]) : undefined,
    ]);
    if (text === undefined) return undefined;
    const found = text.split("\n").flatMap(parseRow);
    const gpus = found.map(({ reading }) => (apps === undefined ? reading : { ...reading, processes: processesOf(apps, reading.uuid) }));
    const parents = new Set(found.flatMap(({ reading, isCut }) => (isCut ? [reading.index] : [])));
    if (parents.size === 0) return gpus;
    const [list = "", details = ""] = await Promise.all([tool.ask(["-L"]), tool.ask(["-q", "-x"])]);
    return gpus.flatMap((gpu) => (parents.has(gpu.index) ? instancesOf(gpu, { list, details, processes }) : [gpu]));
  };
}

function parseRow(row: string): { reading: GpuReading; isCut: boolean }[] {
  const [index, name, uuid, total, used, utilization, temperature, power, mig] = row.split(",").map((cell) => cell.trim());
  if (index === undefined || !/^\d+$/.test(index) || name === undefined) return [];
  const figures = known({
    memoryTotalBytes: figure(total, MIB),
    memoryUsedBytes: figure(used, MIB),
    utilization: figure(utilization),
    temperatureC: figure(temperature),
    powerW: figure(power),
  });
  return [{ reading: { index: Number(index), name, ...(uuid && { uuid }), ...figures }, isCut: mig === "Enabled" }];
}

function processesOf(apps: string, uuid: string | undefined): GpuProcess[] {
  return apps.split("\n").flatMap((row) => {
    const [gpu, pid = "", ...name] = row.split(",").map((cell) => cell.trim());
    return gpu === uuid && /^\d+$/.test(pid) ? [{ pid: Number(pid), name: name.join(",") || undefined }] : [];
  });
}
