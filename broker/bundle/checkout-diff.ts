import { copyFile, lstat, mkdir, stat, utimes } from "node:fs/promises";
import { join, resolve } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import { git, gitToFile } from "./git.js";

const MIB = 1024 * 1024;
const LARGEST_SHOWN = 5;

/** An index of the checkout as it lies there, beside the checkout's own. */
export interface Scratch {
  /** Turns git to it. */
  env: Record<string, string>;
  into: string;
  remarks: string[];
  /** Paths that differ from the commit. */
  changed(root: string, commit: string): Promise<string[]>;
}

/**
 * Takes everything in that is not ignored. New objects go into a folder of their own, so the checkout's repository does not grow.
 * @throws NavvyError too_large
 */
export async function openScratch(root: string, { into, maxBytes }: { into: string; maxBytes: number }): Promise<Scratch> {
  const [index, objects] = [join(into, "index"), join(into, "objects")];
  await mkdir(objects, { recursive: true });
  const own = async (name: string) => resolve(root, (await git(root, ["rev-parse", "--git-path", name])).replace(/\n$/, ""));
  await copyIndex(await own("index"), index);
  const env = { GIT_INDEX_FILE: index, GIT_OBJECT_DIRECTORY: objects, GIT_ALTERNATE_OBJECT_DIRECTORIES: quotedPath(await own("objects")) };
  const fresh = (await git(root, ["ls-files", "-z", "--others", "--exclude-standard"])).split("\0").filter(Boolean);
  const nested = fresh.filter((path) => path.endsWith("/"));
  await refuseTooLarge(root, fresh, { maxBytes, what: "new files" });
  const leave = nested.map((path) => `:(exclude,top,literal)${path.replace(/\/$/, "")}`);
  await git(root, ["-c", "core.safecrlf=false", "add", "-A", "--", ":/", ...leave], env);
  const remarks = nested.map((path) => `${path} is a checkout of its own, and no submodule: it does not go along`);
  const changed = async (at: string, commit: string) =>
    (await git(at, ["diff-index", "--cached", "--name-only", "-z", "-M", "--ignore-submodules=none", commit, "--"], env))
      .split("\0")
      .filter(Boolean);
  return { env, into, remarks, changed };
}

/**
 * With its time, rounded down: what is no older than the index may have changed since, and git looks into it only for that reason.
 * None where nothing was ever added.
 */
async function copyIndex(from: string, to: string): Promise<void> {
  try {
    const { atime, mtimeMs } = await stat(from);
    await copyFile(from, to);
    await utimes(to, atime, Math.floor(mtimeMs) / 1000);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** git splits the list at colons. */
function quotedPath(path: string): string {
  return path.includes(":") || path.startsWith('"') ? JSON.stringify(path) : path;
}

const PATCH = ["-p", "--binary", "--full-index", "-M", "--no-color", "--no-ext-diff", "--no-textconv", "--submodule=short"];

/** The patch from the commit to what lies there; undefined when there is no difference. @throws NavvyError too_large */
export async function writeDiff(
  root: string,
  scratch: Scratch,
  { base, maxBytes }: { base: string; maxBytes: number },
): Promise<{ file: string; files: number } | undefined> {
  const changed = await scratch.changed(root, base);
  if (changed.length === 0) return undefined;
  const file = join(scratch.into, "diff");
  const prefixes = ["--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=none"];
  await gitToFile(root, ["diff-index", "--cached", ...PATCH, ...prefixes, base, "--"], { file, env: scratch.env });
  const { size } = await stat(file);
  if (size > maxBytes) throw await tooLarge(root, changed, { bytes: size, maxBytes, what: "the diff" });
  return { file, files: changed.length };
}

async function refuseTooLarge(root: string, paths: string[], limit: { maxBytes: number; what: string }): Promise<void> {
  const bytes = (await sizesOf(root, paths)).reduce((sum, each) => sum + each.bytes, 0);
  if (bytes > limit.maxBytes) throw await tooLarge(root, paths, { ...limit, bytes });
}

async function sizesOf(root: string, paths: string[]): Promise<{ path: string; bytes: number }[]> {
  const sizes: { path: string; bytes: number }[] = [];
  for (const path of paths) {
    const found = await lstat(join(root, path)).catch(() => undefined); // deleted, or gone meanwhile
    if (found?.isFile()) sizes.push({ path, bytes: found.size });
  }
  return sizes;
}

async function tooLarge(
  root: string,
  paths: string[],
  { bytes, maxBytes, what }: { bytes: number; maxBytes: number; what: string },
): Promise<NavvyError> {
  const largest = (await sizesOf(root, paths)).sort((a, b) => b.bytes - a.bytes).slice(0, LARGEST_SHOWN);
  const first = largest[0]?.path ?? "FILE";
  return new NavvyError("too_large", `${what} of checkout ${root} take ${inMib(bytes)}, over the limit of ${inMib(maxBytes)}`, {
    why: `the largest: ${largest.map((each) => `${each.path} (${inMib(each.bytes)})`).join(", ")}`,
    fix: [`echo ${JSON.stringify(`/${first}`)} >> .gitignore`, "or commit and push them", "or leave out what is not committed: --no-diff"],
    detail: { bytes, maxBytes },
  });
}

function inMib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
