import { access } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { execa } from "execa";
import { type CodeRef, NavvyError, redactUrls } from "../../protocol/index.js";

type Origin = NonNullable<CodeRef["origin"]>;

/** Set inside a hook, these would turn every command to another checkout than the folder's. */
const ENV = {
  GIT_DIR: undefined,
  GIT_WORK_TREE: undefined,
  GIT_INDEX_FILE: undefined,
  GIT_PREFIX: undefined,
  GIT_OPTIONAL_LOCKS: "0",
  LC_ALL: "C",
};
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;
const OPTIONS = { reject: false, stripFinalNewline: false, maxBuffer: MAX_OUTPUT_BYTES, stdin: "ignore" } as const;

/** True when a checkout's `.git` lies in the folder or above it. */
export async function isInCheckout(folder: string): Promise<boolean> {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (
      await access(join(at, ".git")).then(
        () => true,
        () => false,
      )
    )
      return true;
    if (at === dirname(at)) return false;
  }
}

/**
 * Tracked files and untracked ones that are not ignored, below the folder and relative to it. A submodule, and a
 * checkout that merely lies inside, comes as the name of its folder.
 * @throws NavvyError setup_failed when git is missing or refuses the checkout
 */
export async function listCheckout(folder: string): Promise<string[]> {
  const out = await git(folder, ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
  return [...new Set(out.split("\0"))].filter((path) => path !== "").map((path) => path.replace(/\/$/, ""));
}

/** True for a build folder and the like: git would list nothing of it. */
export async function isIgnoredFolder(folder: string): Promise<boolean> {
  return (await tryGit(folder, ["check-ignore", "-q", "."])) !== undefined;
}

/** Commit, branch and whether anything below the folder differs from the commit; what does not exist yet is left out. */
export async function describeCheckout(folder: string): Promise<Origin> {
  const [commit, branch, status] = await Promise.all([
    tryGit(folder, ["rev-parse", "--verify", "-q", "HEAD"]),
    tryGit(folder, ["symbolic-ref", "-q", "--short", "HEAD"]),
    tryGit(folder, ["status", "--porcelain", "-z", "--", "."]),
  ]);
  const origin: Origin = {};
  if (commit) origin.commit = commit.trim();
  if (branch) origin.branch = branch.trim();
  if (status !== undefined) origin.dirty = status !== "";
  return origin;
}

/** @returns stdout, undefined where git fails */
export async function tryGit(folder: string, args: string[], env: Record<string, string> = {}): Promise<string | undefined> {
  const result = await execa("git", args, { ...OPTIONS, cwd: folder, env: { ...ENV, ...env } });
  return result.failed ? undefined : result.stdout;
}

/** @returns stdout @throws NavvyError setup_failed with git's own words */
export async function git(folder: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const result = await execa("git", args, { ...OPTIONS, cwd: folder, env: { ...ENV, ...env } });
  if (!result.failed) return result.stdout;
  throw refused(folder, result);
}

/** The same with stdout in a file: a diff may be larger than memory is meant for. */
export async function gitToFile(
  folder: string,
  args: string[],
  { file, env }: { file: string; env: Record<string, string> },
): Promise<void> {
  const result = await execa("git", args, { ...OPTIONS, cwd: folder, env: { ...ENV, ...env }, stdout: { file } });
  if (result.failed) throw refused(folder, result);
}

function refused(folder: string, result: { stderr?: unknown; shortMessage?: string }): NavvyError {
  return new NavvyError("setup_failed", `folder ${folder} lies in a git checkout, but git can not read it`, {
    cause: result,
    why: (typeof result.stderr === "string" ? redactUrls(result.stderr.trim()) : "") || (result.shortMessage ?? "git failed"),
    fix: ["install git", "or, when git calls the ownership dubious: git config --global --add safe.directory CHECKOUT"],
  });
}
