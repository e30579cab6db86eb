import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { join } from "node:path";

/** What most files that a set-up names are smaller than: read at once, anything larger in pieces. */
const SMALL_BYTES = 1024 * 1024;
/** Never part of what a program is made of, and large. */
export const LEFT_OUT: ReadonlySet<string> = new Set([".git", "node_modules", ".venv", "__pycache__"]);

/** Hex of what a text hashes to. */
export function digestText(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/**
 * What a file or a folder with all that is in it hashes to; undefined: there is no such thing. A device or a pipe counts as
 * nothing: reading it might never end.
 */
export async function digestPath(path: string, signal?: AbortSignal): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return digestFolder(path, signal);
  if (!found?.isFile()) return undefined;
  const hash = createHash("sha256");
  if (found.size <= SMALL_BYTES) return hash.update(await readFile(path)).digest("hex");
  for await (const piece of createReadStream(path, { ...(signal && { signal }) })) hash.update(piece as Buffer);
  return hash.digest("hex");
}

async function digestFolder(path: string, signal?: AbortSignal): Promise<string> {
  const entries = (await readdir(path, { withFileTypes: true })).filter(({ name }) => !LEFT_OUT.has(name));
  const hash = createHash("sha256");
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const below = join(path, entry.name);
    // A link is where it points: following it could lead anywhere, and around in circles.
    const content = entry.isSymbolicLink() ? digestText(await readlink(below)) : await digestPath(below, signal);
    hash.update(JSON.stringify([entry.name, content]));
  }
  return hash.digest("hex");
}

/** Also behind a link. */
export async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
