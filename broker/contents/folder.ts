import { chmod, mkdir, readdir, readlink, rename, rm, stat, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { nuid } from "nats";
import { isNavvyError, NavvyError } from "../../protocol/index.js";
import { translateFile } from "../objects/files.js";
import type { ContentStore } from "./content-store.js";
import { encodeTree, type FileEntry, type FolderEntry, MAX_ENTRIES, readTree, staysInside } from "./folder-tree.js";
import { changed } from "./put.js";

/** Files under way at once. */
const AT_ONCE = 4;

export interface StoredFolder {
  /** Of its tree. */
  sha256: string;
  /** Of all its files together. */
  sizeBytes: number;
  files: number;
  /** Links that lead out of it and what is no file: not stored. */
  leftOut: string[];
}

/**
 * Stores a folder: each file as content of its own, then the tree that names them, so a reader sees all of it or nothing.
 * @throws NavvyError not_found, conflict (it went on changing), too_large, and what the store says
 */
export async function putFolder(store: ContentStore, folder: string, signal?: AbortSignal): Promise<StoredFolder> {
  const found: Found = { entries: [], files: [], leftOut: [] };
  await walk(folder, "", found);
  const stored = await inTurn(found.files, async ({ path, mode }): Promise<FileEntry> => {
    signal?.throwIfAborted();
    const { sha256, sizeBytes } = await store.putFile(join(folder, path), signal).catch((error: unknown) => {
      throw isNavvyError(error, "not_found") ? changed(folder) : error;
    });
    return { path, sha256, sizeBytes, mode };
  });
  const { sha256 } = await store.putBytes(encodeTree([...found.entries, ...stored]));
  const sizeBytes = stored.reduce((sum, file) => sum + file.sizeBytes, 0);
  return { sha256, sizeBytes, files: stored.length, leftOut: found.leftOut };
}

/**
 * Lays a stored folder down under a path that is not taken; it appears there whole and verified. `readOnly`: nothing of it may be
 * written by those who are not root.
 * @throws NavvyError invalid_argument (something lies there), not_found, corrupt, disk_full
 */
export async function getFolder(
  store: ContentStore,
  sha256: string,
  target: { path: string; signal?: AbortSignal | undefined },
): Promise<void> {
  const { path, signal } = target;
  const part = `${path}.${nuid.next()}.part`;
  try {
    const entries = await readTree(store, sha256);
    await mkdir(part);
    for (const folder of new Set(entries.map((entry) => ("folder" in entry ? entry.path : dirname(entry.path)))))
      await mkdir(join(part, folder), { recursive: true });
    const files = entries.filter((entry) => "sha256" in entry);
    await inTurn(files, async (file) => {
      await store.getToFile(file.sha256, join(part, file.path), signal);
      await chmod(join(part, file.path), file.mode & 0o777);
    });
    // Last: nothing is ever written through one.
    for (const entry of entries) if ("link" in entry) await symlink(entry.link, join(part, entry.path));
    if (await stat(path).catch(() => undefined))
      throw new NavvyError("invalid_argument", `${path} is there already`, { fix: "remove it, or choose another place" });
    await rename(part, path);
  } catch (error) {
    await rm(part, { recursive: true, force: true });
    throw translateFile(error, path);
  }
}

/** Names of all that a stored folder is made of. */
export async function* folderParts(store: ContentStore, sha256: string): AsyncGenerator<string, void, undefined> {
  yield* store.partsOf(sha256);
  for (const entry of await readTree(store, sha256)) if ("sha256" in entry) yield* store.partsOf(entry.sha256);
}

interface Found {
  entries: FolderEntry[];
  files: { path: string; mode: number }[];
  leftOut: string[];
}

async function walk(root: string, below: string, found: Found): Promise<void> {
  const names = await readdir(join(root, below), { withFileTypes: true }).catch((error: unknown) => {
    throw translateFile(error, join(root, below));
  });
  if (names.length === 0 && below !== "") found.entries.push({ path: below, folder: true });
  for (const entry of names) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (found.entries.length + found.files.length >= MAX_ENTRIES)
      throw new NavvyError("too_large", `folder ${root} holds more than ${MAX_ENTRIES} files`, { fix: "pack it into one file: tar czf" });
    if (entry.name.includes("\uFFFD")) found.leftOut.push(`${path}: its name is not UTF-8`);
    else if (entry.isDirectory()) await walk(root, path, found);
    else if (entry.isSymbolicLink()) await takeLink(root, path, found);
    else if (entry.isFile()) await takeFile(root, path, found);
    else found.leftOut.push(`${path}: neither a file nor a folder`);
  }
}

async function takeFile(root: string, path: string, found: Found): Promise<void> {
  const it = await stat(join(root, path)).catch(() => undefined);
  if (!it) throw changed(root);
  found.files.push({ path, mode: it.mode & 0o777 });
}

async function takeLink(root: string, path: string, found: Found): Promise<void> {
  const link = await readlink(join(root, path));
  if (staysInside(path, link)) found.entries.push({ path, link });
  else found.leftOut.push(`${path}: a link that leads out of the folder`);
}

async function inTurn<T, R>(all: readonly T[], act: (one: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < all.length; at = next++) done[at] = await act(all[at] as T);
  };
  const settled = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  for (const one of settled) if (one.status === "rejected") throw one.reason;
  return done;
}
