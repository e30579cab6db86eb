import { appendFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { GitRef, NavvyError } from "../../../protocol/index.js";
import { datedSize } from "./copy-tree.js";
import type { Git } from "./git.js";
import type { Mirror } from "./mirror.js";
import { doesNotApply, noRemote } from "./refusals.js";
import { submoduleUrl } from "./submodule-url.js";

/** git takes a file for possibly changed that is as young as its index. */
const OLDER_S = 10;

/** One checkout to be laid out. */
export interface Laying {
  ref: Pick<GitRef, "url" | "submodules">;
  commit: string;
  /** A patch to apply. */
  diff?: string | undefined;
  /** More for git's environment. */
  env?: Record<string, string>;
  signal: AbortSignal;
  say: (line: string) => void;
}

export interface TreeParts {
  git: Git;
  /** Lets the caller have a mirror for itself. */
  withMirror: <T>(url: string, act: (mirror: Mirror) => Promise<T>) => Promise<T>;
}

/** What a cached checkout says of itself. */
export interface Laid {
  sizeBytes: number;
  /** The time of its files, in seconds since 1970. */
  laidAtS: number;
  /** For whoever gets it: what is not in it. */
  remarks: string[];
}

/**
 * Lays a checkout out: the commit's files, the patch over them as staged changes, submodules below. It needs no other folder: its
 * `.git` holds the one commit without its history, so `git rev-parse HEAD`, `git status` and `git diff` work wherever it is copied
 * or mounted to.
 */
export async function layOut(parts: TreeParts, laying: Laying, into: string): Promise<Laid> {
  const { git } = parts;
  const { signal, diff, commit, ref, say } = laying;
  await takeCommit(parts, laying, into);
  const here = ["--git-dir", join(into, ".git"), "--work-tree", into];
  const options = { signal, say, cwd: into, onFailed: (lines: string[]) => noRemote(ref.url, lines) };
  await git.must([...here, "read-tree", commit], options);
  // The index first: so git's own filters and links apply to what was changed as to all the rest.
  if (diff !== undefined)
    await git.must([...here, "apply", "--cached", "--whitespace=nowarn", "--", diff], {
      ...options,
      onFailed: (lines) => doesNotApply({ ...ref }, commit, lines),
    });
  await git.must([...here, "checkout-index", "--all", "--force", "--quiet"], options);
  const remarks = [...(await largeFiles(git, here, options)), ...(await laySubmodules(parts, { laying, here }, into))];
  const laidAtS = Math.floor(Date.now() / 1_000) - OLDER_S;
  const sizeBytes = await datedSize(into, laidAtS);
  await git.try([...here, "update-index", "-q", "--refresh"], { signal });
  return { sizeBytes, laidAtS, remarks };
}

/** A repository with that commit alone. Its configuration names the remote, for programs that ask where the code is from. */
async function takeCommit({ git, withMirror }: TreeParts, laying: Laying, into: string): Promise<void> {
  const { ref, commit, signal, say, env } = laying;
  const dotGit = join(into, ".git");
  const wanted = { url: ref.url, commit, signal, say, ...(env ? { env } : {}) };
  const failed = (lines: string[]): NavvyError => noRemote(ref.url, lines);
  await mkdir(into, { recursive: true });
  const format = commit.length === 64 ? ["--object-format=sha256"] : [];
  await git.must(["init", "-q", "--template=", ...format, into], { signal, onFailed: failed });
  await withMirror(ref.url, async (mirror) => {
    await mirror.ensure(wanted);
    const take = ["-c", "protocol.file.allow=always", "--git-dir", dotGit, "fetch", "-q", "--no-tags", "--depth=1"];
    const fetch = [...take, "--", mirror.path, `refs/navvy/${commit}`];
    if ((await git.try(fetch, { signal, say })).isOk) return;
    await mirror.renew(wanted);
    await git.must(fetch, { signal, say, onFailed: failed });
  });
  const url = ref.url.replace(/["\\]/g, "\\$&");
  await Promise.all([
    writeFile(join(dotGit, "HEAD"), `${commit}\n`),
    rm(join(dotGit, "FETCH_HEAD"), { force: true }),
    // What a copy does not keep of a file, its number and the time of its last change, is not to be looked at.
    appendFile(join(dotGit, "config"), `[core]\n\tcheckStat = minimal\n\ttrustctime = false\n[remote "origin"]\n\turl = "${url}"\n`),
  ]);
}

type Must = Parameters<Git["must"]>[1];

/** Files that git-lfs keeps elsewhere, where the host's git has no filter that fetches them. */
async function largeFiles(git: Git, here: string[], options: Must): Promise<string[]> {
  const { stdout } = await git.try([...here, "ls-files", "-z", "--", ":(attr:filter=lfs)"], options);
  const paths = stdout.split("\0").filter(Boolean);
  if (paths.length === 0) return [];
  const filter = await git.try([...here, "config", "--get-regexp", "^filter\\.lfs\\.(smudge|process)$"], options);
  if (filter.isOk) return [];
  const remark = `${paths.length} files, ${paths[0]} for one, are git-lfs pointers and not their content: this host has no git-lfs (git lfs install)`;
  options.say?.(remark);
  return [remark];
}

async function laySubmodules(parts: TreeParts, { laying, here }: { laying: Laying; here: string[] }, into: string): Promise<string[]> {
  const { git } = parts;
  const { signal, say, ref } = laying;
  if (ref.submodules === false) return [];
  const links = await pointers(git, here, signal);
  if (links.size === 0) return [];
  const urls = await namedUrls(git, into, signal);
  const remarks: string[] = [];
  for (const [path, commit] of links) {
    const url = urls.get(path);
    if (url === undefined) {
      remarks.push(`${path} is a submodule without an entry in .gitmodules: it stays empty`);
      say(remarks.at(-1) ?? "");
      continue;
    }
    say(`submodule ${path}`);
    // Not a person's URL: git then takes only the protocols that it lets repositories name.
    const env = { ...laying.env, GIT_PROTOCOL_FROM_USER: "0" };
    const below: Laying = { ref: { url: submoduleUrl(ref.url, url) }, commit, env, signal, say };
    await rm(join(into, path), { recursive: true, force: true });
    remarks.push(...(await layOut(parts, below, join(into, path))).remarks);
  }
  return remarks;
}

/** Path → commit of each submodule in the index. */
async function pointers(git: Git, here: string[], signal: AbortSignal): Promise<Map<string, string>> {
  const { stdout } = await git.try([...here, "ls-files", "-s", "-z"], { signal });
  const lines = stdout.split("\0").flatMap((line) => {
    const [, commit, path] = /^160000 ([0-9a-f]+) \d\t(.*)$/s.exec(line) ?? [];
    return commit !== undefined && path !== undefined ? [[path, commit] as const] : [];
  });
  return new Map(lines);
}

/** Path → URL as `.gitmodules` has it. */
async function namedUrls(git: Git, into: string, signal: AbortSignal): Promise<Map<string, string>> {
  const file = join(into, ".gitmodules");
  if ((await readFile(file, "utf8").catch(() => "")) === "") return new Map();
  const { stdout } = await git.try(["config", "-z", "-f", file, "--get-regexp", "^submodule\\..*\\.(path|url)$"], { signal });
  const [paths, urls] = [new Map<string, string>(), new Map<string, string>()];
  for (const pair of stdout.split("\0")) {
    const [, name, key, value] = /^submodule\.(.*)\.(path|url)\n(.*)$/s.exec(pair) ?? [];
    if (name !== undefined && value !== undefined) (key === "path" ? paths : urls).set(name, value);
  }
  return new Map([...paths].flatMap(([name, path]) => (urls.has(name) ? [[path, urls.get(name) ?? ""] as const] : [])));
}
