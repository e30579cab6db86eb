import { NavvyError } from "../../../protocol/index.js";
import { figure, type GpuQuery, type GpuReading, known, MIB } from "./reading.js";
import { Tool } from "./tool.js";

const WANTED = ["--showproductname", "--showuniqueid", "--showmeminfo", "vram", "--showuse", "--showtemp", "--showpower", "--json"];

/** Asks `rocm-smi`. It does not tell which process uses which GPU. */
export function amdQuery(timeoutMs: number): GpuQuery {
  const tool = new Tool("rocm-smi", timeoutMs);
  return async () => {
    const text = await tool.ask(WANTED);
    return text === undefined ? undefined : parseCards(text);
  };
}

function parseCards(text: string): GpuReading[] {
  let cards: Record<string, Record<string, string>>;
  try {
    // Warnings may stand before it.
    cards = JSON.parse(text.slice(text.indexOf("{"))) as typeof cards;
  } catch (cause) {
    throw new NavvyError("setup_failed", "rocm-smi printed no JSON", { cause, fix: "rocm-smi --json" });
  }
  return Object.entries(cards).flatMap(([key, card]) => {
    const index = /^card(\d+)$/.exec(key)?.[1];
    return index === undefined ? [] : [readCard(Number(index), card)];
  });
}

/** Releases write the same words with other capitals. */
function readCard(index: number, card: Record<string, string>): GpuReading {
  const find = (pattern: RegExp) => Object.entries(card).find(([key, value]) => pattern.test(key) && !/^N\/A$/i.test(value))?.[1];
  return {
    index,
    name: find(/^card series$/i) ?? find(/^card model$/i) ?? "AMD GPU",
    vendor: "amd",
    ...known({
      uuid: find(/^unique id$/i),
      memoryTotalBytes: figure(find(/^vram total memory/i)),
      memoryUsedBytes: figure(find(/^vram total used memory/i)),
      utilization: figure(find(/^gpu use/i)),
      temperatureC: figure(find(/^temperature.*edge/i) ?? find(/^temperature.*junction/i)),
      powerW: figure(find(/power.*\(w\)/i)),
    }),
  };
}

/** A processor's built-in graphics have less of their own. */
const LEAST_MEMORY_MIB = 4096;

/** Cards of AMD where its tool is missing. Never asked where there is an `nvidia-smi`: systeminformation would run it without a time limit. */
export async function listCards(): Promise<GpuReading[]> {
  const { default: system } = await import("systeminformation");
  const { controllers } = await system.graphics();
  return controllers
    .filter(({ vendor, vram }) => /\b(AMD|ATI|Advanced Micro)\b/i.test(vendor) && (vram ?? 0) >= LEAST_MEMORY_MIB)
    .map(({ model, vram }, index) => ({ index, name: model, vendor: "amd", memoryTotalBytes: (vram ?? 0) * MIB }));
}
