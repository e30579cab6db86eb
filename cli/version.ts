import { existsSync, readFileSync } from "node:fs";

/** The version in navvy's own package.json, from the sources or the build. */
export function packageVersion(): string {
  const file = ["../package.json", "../../package.json"].map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url));
  return file === undefined ? "unknown" : (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
