import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import type { Scratch } from "./checkout-diff.js";
import { git, tryGit } from "./git.js";

/**
 * Submodules: an agent fetches the commits that they are at. Not one is checked out here: then a task needs none either.
 * @throws NavvyError invalid_argument for one whose commit no remote has
 */
export async function lookAtSubmodules(root: string, scratch: Scratch): Promise<{ areFetched: boolean; remarks: string[] }> {
  const paths = (await git(root, ["ls-files", "-s", "-z"], scratch.env)).split("\0").flatMap((line) => {
    const path = /^160000 [0-9a-f]+ \d\t(.*)$/s.exec(line)?.[1];
    return path === undefined ? [] : [path];
  });
  const here: string[] = [];
  for (const path of paths) if (await isThere(join(root, path, ".git"))) here.push(path);
  const remarks: string[] = [];
  for (const path of here) {
    const folder = join(root, path);
    const unpushed = Number((await tryGit(folder, ["rev-list", "--count", "HEAD", "--not", "--remotes"]))?.trim() || 0);
    if (unpushed > 0) throw notPushed(path, unpushed);
    if ((await tryGit(folder, ["status", "--porcelain", "-z"])) !== "")
      remarks.push(`changes inside the submodule ${path} do not go along: commit and push them there`);
  }
  if (paths.length > 0 && here.length === 0) remarks.push("its submodules are not checked out here, so the task gets none");
  return { areFetched: paths.length === 0 || here.length > 0, remarks };
}

/** Files that git-lfs keeps elsewhere. */
export async function lookAtLargeFiles(root: string, scratch: Scratch, commit: string): Promise<string[]> {
  const list = await tryGit(root, ["ls-files", "-z", "--", ":(top,attr:filter=lfs)"], scratch.env);
  const paths = new Set((list ?? "").split("\0").filter(Boolean));
  if (paths.size === 0) return [];
  const remarks = [`${paths.size} files are kept by git-lfs: an agent without git-lfs gets their pointers`];
  const changed = (await scratch.changed(root, commit)).filter((path) => paths.has(path));
  if (changed.length > 0)
    remarks.push(
      `${changed.length} of them are changed, ${changed[0]} for one: their content goes along only where it is pushed (git lfs push)`,
    );
  return remarks;
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function notPushed(path: string, commits: number): NavvyError {
  return new NavvyError("invalid_argument", `submodule ${path} is at a commit that none of its remotes has`, {
    why: `${commits} commits of it are not pushed, and an agent fetches it by itself`,
    fix: [`git -C ${path} push`, "or send the folder as it is: --code ."],
  });
}
