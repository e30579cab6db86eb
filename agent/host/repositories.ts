import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { ulid } from "ulid";
import { type GitRef, isFullCommit, isNavvyError, NavvyError } from "../../protocol/index.js";
import { copyCheckout } from "./git/copy-tree.js";
import { Flights, Turns } from "./git/flights.js";
import { Git } from "./git/git.js";
import { killLeftovers } from "./git/leftovers.js";
import { Mirror } from "./git/mirror.js";
import { noDiff, refuseCredentials } from "./git/refusals.js";
import { resolveRef } from "./git/resolve.js";
import { readAbout, Shelf, TEMP_SUFFIX, touch, writeAbout } from "./git/shelf.js";
import { type Laid, layOut } from "./git/tree.js";

export interface RepositoriesOptions {
  /** One agent's own: what another left half in it is removed at the first use. */
  dir: string;
  /** Mirrors and checkouts together. */
  maxBytes: number;
  /** For each call of git. */
  limitMs: number;
  /** What git's environment is made of. */
  inherited: Record<string, string | undefined>;
  /** Brings an object, verified, into a file. */
  fetch: (sha256: string, file: string, signal: AbortSignal) => Promise<void>;
}

/** Where an attempt wants its code, and who is told what git says. */
export interface Checkout {
  into: string;
  /** Opened only when something has to be fetched. */
  log: { section<T>(name: string, act: () => Promise<T>): Promise<T>; say(text: string): Promise<void> };
  signal?: AbortSignal | undefined;
  /** The commit that an earlier attempt of the task ran, for a branch that may have moved on since. */
  earlier?: string | undefined;
}

/**
 * Code from git, fetched once per host and copied for every attempt. Under its folder lie a mirror per remote, `<hash>.git`, and a
 * checkout for each (commit, diff) that tasks asked for; an attempt gets a copy of that, with a `.git` of its own which needs neither.
 *
 * Order matters for a crash: everything is made under a `.tmp` name, and what is left of those is removed at the next start, after
 * the last git of the agent that died was killed.
 */
export class Repositories {
  readonly #options: RepositoriesOptions;
  readonly #git: Git;
  readonly #shelf: Shelf;
  readonly #turns = new Turns();
  readonly #layings = new Flights<void>();
  readonly #askings = new Flights<string>();
  #ready: Promise<void> | undefined;

  constructor(options: RepositoriesOptions) {
    this.#options = options;
    this.#git = new Git({ inherited: options.inherited, mark: options.dir, limitMs: options.limitMs });
    this.#shelf = new Shelf(options.dir, options.maxBytes);
  }

  /**
   * Puts the repository's files into the folder. When they are here already this starts no process and asks no network.
   * @returns the commit
   * @throws NavvyError setup_failed, disk_full, and what `fetch` throws
   */
  async materialize(ref: GitRef, checkout: Checkout): Promise<string> {
    refuseCredentials(ref.url);
    await this.#prepare();
    const known = ref.commit ?? checkout.earlier;
    if (known !== undefined && !isFullCommit(known))
      throw new NavvyError("setup_failed", `commit ${JSON.stringify(known)} is not a full name`, { fix: "git rev-parse REF" });
    if (known !== undefined && (await this.#copy(ref, known, checkout))) return known;
    return checkout.log.section("code", () => this.#fetchAndCopy(ref, known, checkout));
  }

  async #fetchAndCopy(ref: GitRef, known: string | undefined, checkout: Checkout): Promise<string> {
    const teller = new Teller(checkout.log);
    const waiter = { signal: checkout.signal, say: (line: string) => teller.say(line) };
    try {
      const asking = (flight: { signal: AbortSignal; say: (line: string) => void }) => resolveRef(this.#git, ref, flight);
      const commit = known ?? (await this.#askings.join(`${ref.url} ${ref.ref ?? ""}`, waiter, asking));
      const path = this.#pathOf(ref, commit);
      await this.#shelf.hold(path, async () => {
        if (!(await this.#copy(ref, commit, checkout))) {
          await this.#layings.join(path, waiter, (flight) => this.#lay(ref, commit, flight));
          await this.#copy(ref, commit, checkout);
        }
      });
      return commit;
    } finally {
      await teller.done;
    }
  }

  /** @returns false when it is not here */
  #copy(ref: GitRef, commit: string, { into, log, signal }: Checkout): Promise<boolean> {
    const path = this.#pathOf(ref, commit);
    return this.#shelf.hold(path, async () => {
      const laid = await readAbout<Laid>(path);
      if (!laid) return false;
      signal?.throwIfAborted();
      await copyCheckout(join(path, "tree"), into, laid.laidAtS);
      for (const remark of laid.remarks) await log.say(remark);
      void touch(path).catch(() => undefined); // only the order of removal depends on it
      return true;
    });
  }

  async #lay(ref: GitRef, commit: string, { signal, say }: { signal: AbortSignal; say: (line: string) => void }): Promise<void> {
    const path = this.#pathOf(ref, commit);
    if (await readAbout<Laid>(path)) return;
    const temp = `${path}.${ulid()}${TEMP_SUFFIX}`;
    try {
      await mkdir(temp);
      const diff = ref.diff ? join(temp, "diff") : undefined;
      if (ref.diff && diff !== undefined) await this.#fetchDiff(ref.diff.sha256, diff, signal);
      const parts = { git: this.#git, withMirror: <T>(url: string, act: (mirror: Mirror) => Promise<T>) => this.#withMirror(url, act) };
      const laid = await layOut(parts, { ref, commit, diff, signal, say }, join(temp, "tree"));
      await writeAbout(temp, laid);
      await rename(temp, path);
    } finally {
      await rm(temp, { recursive: true, force: true });
    }
    await this.#shelf.trim();
  }

  async #fetchDiff(sha256: string, file: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.fetch(sha256, file, signal);
    } catch (error) {
      if (!isNavvyError(error, "not_found") && !isNavvyError(error, "corrupt")) throw error;
      throw noDiff(sha256, error);
    }
  }

  #withMirror<T>(url: string, act: (mirror: Mirror) => Promise<T>): Promise<T> {
    const path = join(this.#options.dir, `${hashOf(url)}.git`);
    return this.#turns.take(path, () => this.#shelf.hold(path, () => act(new Mirror(this.#git, path))));
  }

  #pathOf(ref: GitRef, commit: string): string {
    return join(this.#options.dir, hashOf([ref.url, commit, ref.diff?.sha256 ?? "", String(ref.submodules !== false)].join("\n")));
  }

  #prepare(): Promise<void> {
    this.#ready ??= this.#sweep().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #sweep(): Promise<void> {
    const { dir } = this.#options;
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await killLeftovers(dir);
    const left = (await readdir(dir)).filter((name) => name.endsWith(TEMP_SUFFIX));
    await Promise.all(left.map((name) => rm(join(dir, name), { recursive: true, force: true })));
  }
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

/** Writes lines one after the other. What can not be written is not worth a task: its folder may be gone by now. */
class Teller {
  readonly #log: Checkout["log"];
  done: Promise<void> = Promise.resolve();

  constructor(log: Checkout["log"]) {
    this.#log = log;
  }

  say(line: string): void {
    this.done = this.done.then(() => this.#log.say(line)).catch(() => undefined);
  }
}
