import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CapturedCheckout, captureCheckout } from "../../../broker/index.js";
import { type GitRef, NavvyError, redactUrls, type TaskSpec, withoutCredentials } from "../../../protocol/index.js";
import type { Call } from "../../call.js";
import { size } from "../../output/quantities.js";
import type { TaskOptions } from "../task-options.js";

type Parts = Pick<TaskSpec, "git" | "code"> & { directory?: string };

/**
 * The code from git that the flags ask for, over that of `before`; with `upload` its diff is stored. Undefined where no flag is about git.
 * @throws NavvyError invalid_argument, too_large
 */
export async function gitSpecOf(
  call: Call<TaskOptions>,
  options: { before?: TaskSpec | undefined; upload: boolean },
): Promise<Parts | undefined> {
  const { git, repo, code, ref, commit } = call.options;
  refuseMixed(call.options, options.before);
  if (git !== undefined) return captured(call, git === true ? "." : git, options.upload);
  if (repo !== undefined) return { git: repositoryOf(call, repo), code: undefined };
  if (code !== undefined || (ref === undefined && commit === undefined)) return undefined;
  return { git: elsewhere(call, options.before?.git) };
}

function refuseMixed({ git, repo, code, ref, commit, diff }: TaskOptions, before: TaskSpec | undefined): void {
  const sources = Object.entries({ git, repo, code }).filter(([, value]) => value !== undefined);
  if (sources.length > 1)
    throw new NavvyError(
      "invalid_argument",
      `${sources.map(([name]) => `--${name}`).join(" and ")} were given, and a task has its code from one place`,
      {
        fix: "leave all but one of them out",
      },
    );
  const about = ref === undefined ? (commit === undefined ? undefined : "--commit") : "--ref";
  if (ref !== undefined && commit !== undefined)
    throw new NavvyError("invalid_argument", "both --ref and --commit were given", { fix: "a commit needs no branch: leave --ref out" });
  if (about !== undefined && git !== undefined)
    throw new NavvyError("invalid_argument", `${about} is about --repo; --git takes what is checked out`, { fix: "--repo URL --ref REF" });
  if (about !== undefined && repo === undefined && before?.git === undefined)
    throw new NavvyError("invalid_argument", `${about} is about a repository, and none was given`, { fix: "--repo URL" });
  if (diff === false && git === undefined) throw new NavvyError("invalid_argument", "--no-diff is about --git", { fix: "--git --no-diff" });
}

/** The same repository at another commit. A diff is of no use there. */
function elsewhere(call: Call<TaskOptions>, before: GitRef | undefined): GitRef | undefined {
  if (before === undefined) return undefined;
  const { ref, commit, submodules } = call.options;
  if (before.diff) call.out.talk("▸ code  its diff belongs to another commit: left out");
  return refOf({ url: before.url, ref, commit, submodules: submodules === false ? false : before.submodules });
}

function repositoryOf(call: Call<TaskOptions>, given: string): GitRef {
  const { ref, commit, submodules } = call.options;
  const url = withoutCredentials(given);
  if (url !== given)
    call.out.talk(`▸ code  the URL carries credentials: left out. Agents take theirs from their host's git configuration: ${url}`);
  return refOf({ url, ref, commit, submodules: submodules === false ? false : undefined });
}

function refOf({ url, ref, commit, submodules }: Pick<GitRef, "url" | "ref" | "commit" | "submodules">): GitRef {
  return {
    url,
    ...(ref === undefined ? {} : { ref }),
    ...(commit === undefined ? {} : { commit }),
    ...(submodules === undefined ? {} : { submodules }),
  };
}

async function captured(call: Call<TaskOptions>, folder: string, upload: boolean): Promise<Parts> {
  const { dir, diff, submodules } = call.options;
  const into = await mkdtemp(join(tmpdir(), "navvy-diff-"));
  try {
    const found = await captureCheckout(folder, { into, withDiff: diff !== false });
    if (upload && found.diffFile !== undefined) await (await call.navvy()).objects.putFile(found.diffFile);
    tell(call, found);
    const directory = dir === undefined && found.directory !== "" ? { directory: found.directory } : {};
    return { git: { ...found.git, ...(submodules === false ? { submodules } : {}) }, code: undefined, ...directory };
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}

function tell(call: Call<unknown>, { git, remarks }: CapturedCheckout): void {
  call.out.talk(`▸ code  ${gitWords(git)}`);
  for (const remark of remarks) call.out.talk(`        ${remark}`);
}

/** `git@git.lab:ml/resnet main@4be1c07 + 2 files (diff 1.2 KiB)` */
export function gitWords({ url, ref, commit, diff, origin }: GitRef): string {
  const branch = origin?.branch ?? ref;
  const at = commit === undefined ? (branch ?? "HEAD") : `${branch === undefined ? "" : `${branch}@`}${commit.slice(0, 7)}`;
  const files = origin?.files === undefined ? "changes" : `${origin.files} ${origin.files === 1 ? "file" : "files"}`;
  return [redactUrls(url), at, diff && `+ ${files} (diff ${size(diff.sizeBytes)})`].filter(Boolean).join(" ");
}
