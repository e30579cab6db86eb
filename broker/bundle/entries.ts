import { lstat, readlink } from "node:fs/promises";
import { isAbsolute, join, posix, relative, resolve, sep } from "node:path";
import { NavvyError } from "../../protocol/index.js";

export interface BundleEntry {
  /** Relative to the folder, with `/`. */
  path: string;
  sizeBytes: number;
  isExecutable: boolean;
  /** Of a symbolic link: relative to the link, free of detours. */
  linkTo: string | undefined;
}

/**
 * What there is to pack, by name in byte order, so that everyone who packs the same files gets the same bytes. Skips
 * what is gone (git still lists a deleted file) and what is no file (sockets, devices).
 * @throws NavvyError invalid_argument for a link that points out of the folder
 */
export async function readEntries(folder: string, paths: string[]): Promise<BundleEntry[]> {
  const entries: BundleEntry[] = [];
  for (const path of paths) {
    const entry = await readEntry(folder, path);
    if (entry) entries.push(entry);
  }
  return entries.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

async function readEntry(folder: string, path: string): Promise<BundleEntry | undefined> {
  const stat = await lstat(join(folder, path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
  if (stat?.isSymbolicLink()) return { path, sizeBytes: 0, isExecutable: true, linkTo: await readInnerLink(folder, path) };
  if (!stat?.isFile()) return undefined;
  return { path, sizeBytes: stat.size, isExecutable: (stat.mode & 0o100) !== 0, linkTo: undefined };
}

async function readInnerLink(folder: string, path: string): Promise<string> {
  const linkFolder = resolve(folder, path, "..");
  const text = await readlink(join(folder, path));
  const inside = relative(folder, resolve(linkFolder, text));
  if (inside === ".." || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
    throw new NavvyError("invalid_argument", `bundle of ${folder}: the link ${path} points outside the folder, to ${text}`, {
      why: "what is there would be missing, or something else, on the machine that runs the task",
      fix: `leave it out: echo ${JSON.stringify(`/${path}`)} >> .navvyignore`,
      detail: { path },
    });
  }
  return relative(linkFolder, resolve(linkFolder, text)).split(sep).join(posix.sep) || ".";
}
