import { resolve } from "node:path";
import { NavvyError, withoutCredentials } from "../../protocol/index.js";
import { tryGit } from "./git.js";

/** The newest commit of a checkout that others can fetch, and from where. */
export interface PushedBase {
  url: string;
  commit: string;
  /** What is checked out: `commit`, or a commit that is not pushed. */
  head: string;
  branch: string | undefined;
  /** Commits that are not pushed. */
  unpushed: number;
  remarks: string[];
}

/** @throws NavvyError invalid_argument where no remote has anything of it */
export async function findBase(root: string): Promise<PushedBase> {
  const head = await line(root, ["rev-parse", "-q", "--verify", "HEAD^{commit}"]);
  if (head === undefined) throw refusal(root, "has no commit yet", "git add -A && git commit && git push");
  const branch = await line(root, ["symbolic-ref", "-q", "--short", "HEAD"]);
  const remote = await remoteOf(root, branch);
  if (remote === undefined)
    throw refusal(root, "has no remote that an agent could fetch from", "git remote add origin URL && git push -u origin HEAD");
  const raw = await line(root, ["config", "--get", `remote.${remote}.url`]);
  if (raw === undefined) throw refusal(root, `knows no URL of its remote ${remote}`, `git remote set-url ${remote} URL`);
  const pushed = ["--not", `--remotes=${remote}`];
  const commit = await newestPushed(root, head, pushed);
  if (commit === undefined) throw refusal(root, `has nothing that its remote ${remote} has too`, `git push -u ${remote} HEAD`);
  const unpushed = Number((await line(root, ["rev-list", "--count", head, ...pushed])) ?? 0);
  const { url, remarks } = publicUrl(root, raw);
  return { url, commit, head, branch, unpushed, remarks };
}

/** The branch's upstream, else `origin`, else the only one. */
async function remoteOf(root: string, branch: string | undefined): Promise<string | undefined> {
  const all = ((await tryGit(root, ["remote"])) ?? "").split("\n").filter(Boolean);
  const upstream = branch === undefined ? undefined : await line(root, ["config", "--get", `branch.${branch}.remote`]);
  const choices = [upstream, "origin", all.length === 1 ? all[0] : undefined];
  return choices.find((each) => each !== undefined && all.includes(each));
}

/** Along the first parents what is not pushed comes first: behind the last of it lies the newest that is. */
async function newestPushed(root: string, head: string, pushed: string[]): Promise<string | undefined> {
  const unpushed = ((await tryGit(root, ["rev-list", "--first-parent", head, ...pushed])) ?? "").split("\n").filter(Boolean);
  const last = unpushed.at(-1);
  if (last === undefined) return head;
  const parent = await line(root, ["rev-parse", "-q", "--verify", `${last}^1`]);
  if (parent !== undefined) return parent;
  // A history of its own that was merged with what is pushed: any commit at the border will do.
  const border = ((await tryGit(root, ["rev-list", "--boundary", head, ...pushed])) ?? "").split("\n");
  return border.find((each) => each.startsWith("-"))?.slice(1);
}

/** As the remote is configured: not as `insteadOf` turns it on this machine, for the agent's host has its own. */
function publicUrl(root: string, raw: string): { url: string; remarks: string[] } {
  const url = withoutCredentials(raw);
  if (url !== raw)
    return {
      url,
      remarks: [`the remote's URL carries credentials: left out. Agents take theirs from their host's git configuration: ${url}`],
    };
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(url) && !url.startsWith("file:")) return { url, remarks: [] };
  const isPath = url.startsWith("file:") || /^(\/|\.)/.test(url) || !/^[^/]+:/.test(url);
  if (!isPath) return { url, remarks: [] };
  const path = url.startsWith("file:") ? url : resolve(root, url);
  return { url: path, remarks: [`the remote is a folder, ${path}: only agents that have it can fetch from it`] };
}

async function line(root: string, args: string[]): Promise<string | undefined> {
  return (await tryGit(root, args))?.trim() || undefined;
}

function refusal(root: string, what: string, fix: string): NavvyError {
  return new NavvyError("invalid_argument", `checkout ${root} ${what}`, {
    why: "an agent clones it by itself, so a remote must have at least one of its commits",
    fix: [fix, `or send the folder as it is: --code ${root}`],
  });
}
