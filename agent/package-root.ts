import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's folder: above `dist/` when compiled, the checkout when run from source. */
export function packageRoot(): string {
  const above = join(dirname(fileURLToPath(import.meta.url)), "..");
  return basename(above) === "dist" ? dirname(above) : above;
}
