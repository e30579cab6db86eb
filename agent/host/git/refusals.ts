import { type GitRef, NavvyError, redactUrls, withoutCredentials } from "../../../protocol/index.js";

/** A URL for messages and logs. */
export function shown(url: string): string {
  return redactUrls(url);
}

function asked(url: string): string {
  return `on the agent's host, as the agent's user: git ls-remote ${shown(url)}`;
}

/** The remote does not answer, or does not let this host in: the task fails, with git's own words and what was tried. */
export function noRemote(url: string, lastLines: string[]): NavvyError {
  const said = lastLines.join("\n");
  return new NavvyError("setup_failed", `git can not fetch ${shown(url)}: ${lastLines.at(-1) ?? "git says nothing about it"}`, {
    why: said === "" ? "git ended without a word" : said,
    fix: [asked(url), ...adviceOn(said, url)],
  });
}

function adviceOn(said: string, url: string): string[] {
  if (/Host key verification failed/.test(said))
    return [`that host's key is not known there: ssh -T ${hostOf(url)}, once, as the agent's user`];
  if (/Permission denied|could not read (Username|Password)|Authentication failed|returned error: 40[13]/.test(said))
    return ["give that user a key or a stored login for it: navvy rewrites no URL and asks nobody"];
  if (/dubious ownership/.test(said)) return ["git config --global --add safe.directory PATH, there"];
  if (/not found|does not exist|not appear to be a git repository/i.test(said))
    return ["a wrong URL, or a private repository that this host may not read"];
  if (/Could not resolve|Connection refused|timed out|unreachable|unable to connect/i.test(said))
    return ["the network of that host, or the remote, is down; when it is back: navvy task reset TASK, then enqueue it"];
  return [];
}

function hostOf(url: string): string {
  return /^(?:[a-z+]+:\/\/)?([^/:]+(?::\d+(?=\/))?)/i.exec(url)?.[1] ?? "HOST";
}

export function noSuchRef(url: string, ref: string | undefined): NavvyError {
  if (ref === undefined)
    return new NavvyError("setup_failed", `repository ${shown(url)} has no HEAD`, {
      why: "it is empty, or its default branch does not exist",
      fix: "--ref BRANCH",
    });
  return new NavvyError("setup_failed", `repository ${shown(url)} has no branch or tag ${JSON.stringify(ref)}`, {
    why: "neither refs/heads nor refs/tags of it has that name",
    fix: [`git ls-remote ${shown(url)}`, "push it, or name another: --ref BRANCH"],
  });
}

export function noSuchCommit(url: string, commit: string): NavvyError {
  return new NavvyError("setup_failed", `repository ${shown(url)} has no commit ${commit}`, {
    why: "none of its branches and tags contains it: it was never pushed, or was taken away by a forced push",
    fix: ["push it: git push", "or make the task again from where the code is: navvy run --git -- …"],
  });
}

export function doesNotApply(ref: GitRef, commit: string, lastLines: string[]): NavvyError {
  return new NavvyError("setup_failed", `the task's uncommitted changes do not apply to ${commit.slice(0, 12)} of ${shown(ref.url)}`, {
    why: lastLines.join("\n") || "git apply refuses them",
    fix: "make the task again from its checkout: navvy run --git -- …",
  });
}

export function noDiff(sha256: string, cause: Error): NavvyError {
  return new NavvyError("setup_failed", `the task's uncommitted changes can not be fetched: ${cause.message}`, {
    cause,
    detail: { sha256 },
    fix: "make the task again from its checkout: navvy run --git -- …",
  });
}

/** @throws NavvyError setup_failed: a record that another client wrote */
export function refuseCredentials(url: string): void {
  if (withoutCredentials(url) === url && !url.startsWith("-")) return;
  throw new NavvyError("setup_failed", `git URL ${shown(url)} is not acceptable`, {
    why: "credentials do not belong in a task: the agent's host takes them from its own git configuration",
    fix: withoutCredentials(url),
  });
}
