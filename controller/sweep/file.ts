import { readYaml } from "../definition/yaml.js";
import { configOf, type SweepOptions } from "./definition.js";

/**
 * A sweep from a YAML (or JSON) file.
 * @param file its name, for messages
 * @throws NavvyError invalid_argument: each problem with its line and column
 */
export async function parseSweepFile(text: string, file: string): Promise<SweepOptions> {
  const { written, placeOf } = await readYaml(text, file);
  configOf(written, placeOf);
  return written as unknown as SweepOptions;
}
