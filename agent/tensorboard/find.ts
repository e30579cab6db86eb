import { opendir } from "node:fs/promises";
import { join } from "node:path";

/** How far a search may go: whatever a task lays into its folder must not cost its machine more than a moment. */
export interface Bounds {
  maxDepth: number;
  maxFolders: number;
  /** Entries of one folder that are looked at: data sets lie in folders of a million files. */
  maxEntries: number;
  maxFiles: number;
  /** Of all folders together. */
  maxEntriesInAll: number;
}

export const WIDE: Bounds = { maxDepth: 8, maxFolders: 2_000, maxEntries: 5_000, maxFiles: 200, maxEntriesInAll: 100_000 };
/** For a task that was over at once. */
export const NARROW: Bounds = { ...WIDE, maxDepth: 3, maxFolders: 50 };

/** Folders in which nobody writes event files; those that begin with a dot are passed over too. */
const PASSED_OVER = new Set(["node_modules", "__pycache__", "site-packages", "venv", "virtualenv", "conda-meta"]);

/** The event files below some folders, by their paths; the nearest first. Links are not followed: they could lead anywhere. */
export async function findEventFiles(roots: readonly string[], bounds: Bounds): Promise<string[]> {
  const found: string[] = [];
  let level = [...roots];
  let entries = 0;
  for (let depth = 0, folders = 0; depth <= bounds.maxDepth && level.length > 0; depth++) {
    const next: string[] = [];
    for (const folder of level) {
      if (folders++ >= bounds.maxFolders || found.length >= bounds.maxFiles || entries >= bounds.maxEntriesInAll) return found;
      const { files, below, seen } = await look(folder, bounds.maxEntries);
      entries += seen;
      found.push(...files.slice(0, bounds.maxFiles - found.length));
      next.push(...below);
    }
    level = next;
  }
  return found;
}

async function look(folder: string, maxEntries: number): Promise<{ files: string[]; below: string[]; seen: number }> {
  const [files, below]: [string[], string[]] = [[], []];
  let entries = 0;
  try {
    for await (const entry of await opendir(folder, { bufferSize: 256 })) {
      if (++entries > maxEntries) break;
      const path = join(folder, entry.name);
      if (entry.isFile() && entry.name.includes("tfevents")) files.push(path);
      else if (entry.name === "pyvenv.cfg") return { files: [], below: [], seen: entries };
      else if (entry.isDirectory() && !entry.name.startsWith(".") && !PASSED_OVER.has(entry.name)) below.push(path);
    }
  } catch {
    // It went away, or is not to be read: what was seen of it counts.
  }
  return { files: files.sort(), below: below.sort(), seen: entries };
}
