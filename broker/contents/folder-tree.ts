import { posix } from "node:path";
import { z } from "zod";
import { NavvyError } from "../../protocol/index.js";
import type { ContentStore } from "./content-store.js";

const MAX_TREE_BYTES = 256 * 1024 * 1024;
/** More than that is better packed into one file. */
export const MAX_ENTRIES = 200_000;

const Entry = z.union([
  z.object({ path: z.string(), sha256: z.string(), sizeBytes: z.number().int().nonnegative(), mode: z.number().int() }),
  z.object({ path: z.string(), link: z.string() }),
  /** Empty; others are known by what is in them. */
  z.object({ path: z.string(), folder: z.literal(true) }),
]);
export type FolderEntry = z.infer<typeof Entry>;
export type FileEntry = Extract<FolderEntry, { sha256: string }>;

/** What a folder is made of: the content that its artifact names. */
const FolderTree = z.object({ type: z.literal("navvy.folder.v1"), entries: z.array(Entry) });

/** The same folder gives the same bytes. */
export function encodeTree(entries: FolderEntry[]): Uint8Array {
  const sorted = entries.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return Buffer.from(JSON.stringify({ type: "navvy.folder.v1", entries: sorted }));
}

/** The tree, with nothing in it that would lead out of its folder. @throws NavvyError corrupt, not_found */
export async function readTree(store: ContentStore, sha256: string): Promise<FolderEntry[]> {
  const bytes = await store.getBytes(sha256, { maxBytes: MAX_TREE_BYTES });
  try {
    const { entries } = FolderTree.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
    checkTree(entries);
    return entries;
  } catch (cause) {
    const why = (cause as Error).message.slice(0, 300);
    throw new NavvyError("corrupt", `folder ${sha256}: its tree is not acceptable`, { cause, why, detail: { sha256 } });
  }
}

function checkTree(entries: FolderEntry[]): void {
  const leaves = new Set<string>();
  for (const entry of entries) {
    const { path } = entry;
    if (!isInside(path)) throw new Error(`path ${JSON.stringify(path)} leads out of it`);
    if (leaves.has(path)) throw new Error(`path ${JSON.stringify(path)} stands there twice`);
    if ("link" in entry && !staysInside(path, entry.link)) throw new Error(`link ${JSON.stringify(path)} leads out of it`);
    leaves.add(path);
  }
  for (const path of leaves)
    for (let above = posix.dirname(path); above !== "."; above = posix.dirname(above))
      if (leaves.has(above)) throw new Error(`path ${JSON.stringify(path)} goes through ${JSON.stringify(above)}, which is no folder`);
}

/** A path below the folder, in its only spelling. */
export function isInside(path: string): boolean {
  return (
    path !== "" &&
    !path.includes("\0") &&
    !path.startsWith("/") &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..")
  );
}

/** Whether a link can not lead out, whatever the others are: up first and then down, never up again behind another link. */
export function staysInside(path: string, target: string): boolean {
  if (target === "" || target.startsWith("/") || target.includes("\0")) return false;
  const parts = target.split("/").filter((part) => part !== "" && part !== ".");
  const ups = parts.findIndex((part) => part !== "..");
  const up = ups < 0 ? parts.length : ups;
  if (parts.slice(up).includes("..")) return false;
  return up <= path.split("/").length - 1;
}
