import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { ulid } from "ulid";
import type { NavvyError } from "../../../protocol/index.js";
import { succeeds } from "../succeeds.js";
import { fullDisk, type Git, type GitOptions } from "./git.js";
import { noRemote, noSuchCommit, shown } from "./refusals.js";
import { ABOUT, TEMP_SUFFIX, touch, writeAbout } from "./shelf.js";

const SHA256_LENGTH = 64;

/** What a mirror is asked for. */
export interface Wanted {
  url: string;
  commit: string;
  /** More for git's environment: a submodule's URL comes out of a repository and not from a person. */
  env?: Record<string, string>;
  signal: AbortSignal;
  say: (line: string) => void;
}

/**
 * What this host has of one remote: a bare repository with the commits that tasks asked for, each without its history, under
 * `refs/navvy/<commit>`. One caller at a time.
 */
export class Mirror {
  readonly path: string;
  readonly #git: Git;

  constructor(git: Git, path: string) {
    this.#git = git;
    this.path = path;
  }

  /**
   * Fetches the commit unless it is there: by its name; where the server does not allow that, everything. A mirror that git can not
   * work with any more is made anew, once.
   * @throws NavvyError setup_failed, disk_full
   */
  async ensure(wanted: Wanted): Promise<void> {
    const isNew = await this.#init(wanted);
    const suspicion = await this.#fetch(wanted);
    if (suspicion && isNew) throw suspicion;
    if (suspicion) await this.renew(wanted);
    await touch(this.path);
  }

  /** Throws away what is there and fetches again. */
  async renew(wanted: Wanted): Promise<void> {
    wanted.say(`what this host had of ${shown(wanted.url)} is damaged: fetching it anew`);
    await rm(this.path, { recursive: true, force: true });
    await this.#init(wanted);
    const suspicion = await this.#fetch(wanted);
    if (suspicion) throw suspicion;
  }

  async #init({ url, commit, signal }: Wanted): Promise<boolean> {
    if (await succeeds(stat(join(this.path, ABOUT)))) return false;
    const temp = `${this.path}.${ulid()}${TEMP_SUFFIX}`;
    await mkdir(temp, { recursive: true });
    const format = commit.length === SHA256_LENGTH ? ["--object-format=sha256"] : [];
    await this.#git.must(["init", "-q", "--bare", "--template=", ...format, temp], { signal, onFailed: (lines) => noRemote(url, lines) });
    await writeAbout(temp, { url });
    await rm(this.path, { recursive: true, force: true });
    await rename(temp, this.path);
    return true;
  }

  /** @returns an error where the remote answers and git still can not fetch: what is here may be damaged */
  async #fetch(wanted: Wanted): Promise<NavvyError | undefined> {
    const { url, commit, say, signal, env } = wanted;
    const ref = `refs/navvy/${commit}`;
    if (await this.#has(ref, signal)) return undefined;
    await clearLocks(this.path);
    say(`git fetch ${shown(url)} ${commit}`);
    const options = { signal, say, ...(env ? { env } : {}) };
    // Always as packs: what a kill leaves of one is known by its name, of single objects it would lie among the good ones.
    const fetch = ["-c", "fetch.unpackLimit=1", "fetch", "--no-tags", "--no-recurse-submodules", "--progress"];
    const byName = await this.#remote([...fetch, "--depth=1", "--", url, `+${commit}:${ref}`], options);
    if (byName.isOk) return undefined;
    throwIfFull(byName.lastLines);
    // What git says differs from server to server, so the remote is asked something simpler: does it answer at all?
    const answer = await this.#git.tryRemote(["ls-remote", "--", url, "HEAD"], { signal, ...(env ? { env } : {}) });
    if (!answer.isOk) throw noRemote(url, answer.lastLines);
    say("the remote does not give single commits: fetching all of it");
    const unshallow = (await succeeds(stat(join(this.path, "shallow")))) ? ["--unshallow"] : [];
    const all = await this.#remote([...fetch, ...unshallow, "--", url, "+refs/*:refs/all/*"], options);
    throwIfFull(all.lastLines);
    if (!all.isOk) return noRemote(url, all.lastLines);
    const named = await this.#git.try(["--git-dir", this.path, "update-ref", ref, `${commit}^{commit}`], { signal });
    if (!named.isOk) throw noSuchCommit(url, commit);
    return undefined;
  }

  #remote(args: string[], options: GitOptions) {
    return this.#git.tryRemote(["--git-dir", this.path, ...args], options);
  }

  async #has(ref: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#git.try(["--git-dir", this.path, "rev-parse", "-q", "--verify", `${ref}^{commit}`], { signal })).isOk;
  }
}

function throwIfFull(lastLines: string[]): void {
  const full = fullDisk(lastLines);
  if (full) throw full;
}

/** Nobody else works in this mirror, and what a killed agent left running was killed: locks and half packs are nobody's. */
async function clearLocks(path: string): Promise<void> {
  const stale = [
    ...(await namesIn(path)).filter((name) => name.endsWith(".lock") || name === "gc.pid"),
    ...(await namesIn(join(path, "refs", "navvy"))).filter((name) => name.endsWith(".lock")).map((name) => join("refs", "navvy", name)),
    ...(await namesIn(join(path, "objects", "pack")))
      .filter((name) => name.startsWith("tmp_") || name.startsWith(".tmp-"))
      .map((name) => join("objects", "pack", name)),
  ];
  await Promise.all(stale.map((name) => rm(join(path, name), { force: true })));
}

async function namesIn(path: string): Promise<string[]> {
  return readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
}
