import type { Dirent } from "node:fs";
import { constants, copyFile, lstat, mkdir, readdir, readlink, symlink, utimes } from "node:fs/promises";

/** As bytes: git takes any, and not all of them are text. */
type Path = Buffer;
type Entry = Dirent<Buffer>;

const SLASH = Buffer.from("/");

function inside(folder: Path, name: Buffer): Path {
  return Buffer.concat([folder, SLASH, name]);
}

function isGit(entry: Entry): boolean {
  return entry.name.equals(Buffer.from(".git"));
}

async function entriesOf(folder: Path): Promise<Entry[]> {
  return readdir(folder, { withFileTypes: true, encoding: "buffer" }) as unknown as Promise<Entry[]>;
}

/**
 * Copies a checkout with its `.git`. Shares the blocks where the file system can. Its files get the time that git's index has of
 * them, so that git need not read them all again to see that nothing was changed.
 */
export async function copyCheckout(from: string, into: string, laidAtS: number): Promise<void> {
  await copyFolder(Buffer.from(from), Buffer.from(into), laidAtS);
}

async function copyFolder(from: Path, into: Path, timeS: number | undefined): Promise<void> {
  const [entries] = await Promise.all([entriesOf(from), mkdir(into, { recursive: true })]);
  await Promise.all(
    entries.map(async (entry) => {
      const [source, target] = [inside(from, entry.name), inside(into, entry.name)];
      if (entry.isDirectory()) return copyFolder(source, target, isGit(entry) ? undefined : timeS);
      if (entry.isSymbolicLink()) return symlink(await readlink(source, { encoding: "buffer" }), target);
      await copyFile(source, target, constants.COPYFILE_FICLONE);
      if (timeS !== undefined) await utimes(target, timeS, timeS);
    }),
  );
}

/** Gives a checkout's files one time. @returns bytes of all of it */
export async function datedSize(folder: string, timeS: number): Promise<number> {
  return dateAndMeasure(Buffer.from(folder), timeS);
}

async function dateAndMeasure(folder: Path, timeS: number | undefined): Promise<number> {
  const sizes = await Promise.all(
    (await entriesOf(folder)).map(async (entry) => {
      const path = inside(folder, entry.name);
      if (entry.isDirectory()) return dateAndMeasure(path, isGit(entry) ? undefined : timeS);
      if (timeS !== undefined && entry.isFile()) await utimes(path, timeS, timeS);
      return (await lstat(path)).size;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
