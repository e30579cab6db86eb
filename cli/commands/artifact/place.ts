import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Where an artifact is written: below a folder under its own name, else at the path itself. */
export async function place(name: string, to: string, options: { isFolder?: boolean } = {}): Promise<string> {
  const path = (options.isFolder ?? (await isDirectory(to))) ? join(to, safeName(name)) : to;
  await mkdir(dirname(path), { recursive: true });
  return path;
}

/** A task chose the name: it must not lead out of the folder. */
function safeName(name: string): string {
  const parts = name.split(/[/\\\0]/).filter((part) => part !== "" && part !== "." && part !== "..");
  return parts.length > 0 ? join(...parts) : "artifact";
}

async function isDirectory(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined); // not there: it is the file's name
  return found?.isDirectory() ?? path.endsWith("/");
}
