import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { type GitRef, NavvyError } from "../../protocol/index.js";
import { findBase, type PushedBase } from "./checkout-base.js";
import { openScratch, type Scratch, writeDiff } from "./checkout-diff.js";
import { lookAtLargeFiles, lookAtSubmodules } from "./checkout-parts.js";
import { git, isInCheckout } from "./git.js";

const MIB = 1024 * 1024;
const MAX_DIFF_BYTES_DEFAULT = 64 * MIB;

/** A checkout as others can have it: a commit that its remote has, and a patch with everything beyond. */
export interface CapturedCheckout {
  git: GitRef;
  /** The patch that `git.diff` names, where there is one; whoever captured it removes it. */
  diffFile?: string;
  /** Where in the checkout the folder is; "" for its root. */
  directory: string;
  /** What people should know: what does not go along, what an agent needs. */
  remarks: string[];
}

/**
 * Captures the checkout that a folder lies in: the newest commit of it that its remote has, and as a patch what lies beyond: commits
 * that are not pushed, what is staged, changed, and new and not ignored; binary files, modes, links, renames and deletions too. Nothing
 * of the checkout is touched, its index and its objects neither: the patch is made in the folder `into`.
 *
 * `maxBytes` (default 64 MiB) bounds the patch, and what is new before it is read. `withDiff: false` takes the pushed commit alone.
 * @throws NavvyError invalid_argument (no checkout, no commit, no remote, nothing pushed, a submodule that is not pushed), too_large,
 * setup_failed (git)
 */
export async function captureCheckout(
  folder: string,
  options: { into: string; maxBytes?: number; withDiff?: boolean },
): Promise<CapturedCheckout> {
  const { into, maxBytes = MAX_DIFF_BYTES_DEFAULT, withDiff = true } = options;
  const at = resolve(folder);
  if (!(await isInCheckout(at))) throw noCheckout(at);
  const root = (await git(at, ["rev-parse", "--show-toplevel"])).replace(/\n$/, "");
  const directory = (await git(at, ["rev-parse", "--show-prefix"])).replace(/\/?\n$/, "");
  const base = await findBase(root);
  const scratch = await openScratch(root, { into, maxBytes });
  const parts = { ...(await lookAtSubmodules(root, scratch)), large: await lookAtLargeFiles(root, scratch, base.commit) };
  const ref: GitRef = { url: base.url, commit: base.commit, ...(parts.areFetched ? {} : { submodules: false }) };
  const origin = { ...(base.branch ? { branch: base.branch } : {}), ...(base.head === base.commit ? {} : { head: base.head }) };
  const remarks = [...base.remarks, ...scratch.remarks, ...parts.remarks, ...parts.large];
  const captured = { directory, remarks };
  if (!withDiff) {
    const left = await leftOut(root, scratch, base);
    return { ...captured, remarks: [...remarks, ...left], git: { ...ref, origin } };
  }
  const diff = await writeDiff(root, scratch, { base: base.commit, maxBytes });
  if (diff === undefined) return { ...captured, git: { ...ref, origin } };
  const sizeBytes = (await stat(diff.file)).size;
  return {
    ...captured,
    git: { ...ref, diff: { sha256: await sha256Of(diff.file), sizeBytes }, origin: { ...origin, files: diff.files } },
    diffFile: diff.file,
  };
}

async function leftOut(root: string, scratch: Scratch, base: PushedBase): Promise<string[]> {
  const changed = await scratch.changed(root, base.commit);
  return changed.length === 0
    ? []
    : [`${changed.length} changed files and ${base.unpushed} commits that are not pushed stay here (--no-diff)`];
}

function noCheckout(folder: string): NavvyError {
  return new NavvyError("invalid_argument", `folder ${folder} lies in no git checkout`, {
    fix: [`send the folder itself: --code ${folder}`, "or name a repository: --repo URL"],
  });
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of createReadStream(file)) hash.update(bytes as Buffer);
  return hash.digest("hex");
}
