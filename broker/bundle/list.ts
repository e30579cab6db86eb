import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import ignore, { type Ignore } from "ignore";
import type { CodeRef } from "../../protocol/index.js";
import { describeCheckout, isIgnoredFolder, isInCheckout, listCheckout } from "./git.js";

/** Gitignore syntax, in the packed folder's root; applies also to what git tracks. */
const IGNORE_FILE = ".navvyignore";
const NEVER = new Set([".git", "node_modules"]);

export interface Listing {
  /** Relative to the folder, with `/`, in no order; some may be gone by now. */
  paths: string[];
  origin: NonNullable<CodeRef["origin"]>;
}

/** The files that make up a folder's code: git's view of it inside a checkout, else everything but `.git` and `node_modules`. */
export async function listFolder(folder: string): Promise<Listing> {
  const rules = await readRules(folder);
  if ((await isInCheckout(folder)) && !(await isIgnoredFolder(folder))) {
    const paths = await listNested(folder, "");
    const origin = await describeCheckout(folder);
    return { paths: paths.filter((path) => !rules.ignores(path)), origin: { folder, ...origin } };
  }
  return { paths: await walk(folder, "", rules), origin: { folder } };
}

async function readRules(folder: string): Promise<Ignore> {
  const text = await readFile(join(folder, IGNORE_FILE), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return ignore().add(text);
}

/** Git names a submodule, and a checkout inside the checkout, as one path: its own git knows what is in it. */
async function listNested(folder: string, below: string): Promise<string[]> {
  const found: string[] = [];
  for (const path of await listCheckout(join(folder, below))) {
    const full = below === "" ? path : `${below}/${path}`;
    if (!(await isFolder(join(folder, full)))) found.push(full);
    else if (await hasGit(join(folder, full))) found.push(...(await listNested(folder, full)));
  }
  return found;
}

/** Without its own `.git`, git would list the outer checkout again: a submodule that was never fetched. */
async function hasGit(folder: string): Promise<boolean> {
  return lstat(join(folder, ".git")).then(
    () => true,
    () => false,
  );
}

async function isFolder(path: string): Promise<boolean> {
  return lstat(path).then(
    (stat) => stat.isDirectory(),
    () => false,
  );
}

async function walk(folder: string, below: string, rules: Ignore): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (NEVER.has(entry.name) || rules.ignores(entry.isDirectory() ? `${path}/` : path)) continue;
    if (entry.isDirectory()) found.push(...(await walk(folder, path, rules)));
    else found.push(path);
  }
  return found;
}
