import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The installed package's folder, from source and from `dist/` alike: the nearest one above whose package.json is navvy's. */
export function packageFolder(from = dirname(fileURLToPath(import.meta.url))): string {
  const file = join(from, "package.json");
  if (existsSync(file) && (JSON.parse(readFileSync(file, "utf8")) as { name?: string }).name === "navvy") return from;
  const above = dirname(from);
  if (above === from) throw new Error("navvy's own package.json is not above this program");
  return packageFolder(above);
}
