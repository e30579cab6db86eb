import { readFile } from "node:fs/promises";
import { NavvyError } from "../protocol/index.js";

/** The text of a file that somebody named. @throws NavvyError not_found, invalid_argument (can not be read) */
export async function readDefinition(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "not_found" : "invalid_argument";
    throw new NavvyError(code, `${file} can not be read`, { cause, why: (cause as Error).message });
  }
}
