import { stat } from "node:fs/promises";
import type { Companion } from "../task/companions.js";
import { type AttemptFolder, eventsFile } from "../task/folder.js";
import type { Bounds } from "./find.js";
import type { Watcher } from "./watcher.js";

/** A task that is over before that costs nothing but one narrow search at its end. */
const FIRST_LOOK_MS = 3_000;
/** Files that are known are read that often. */
const READ_EVERY_MS = 1_000;
/** Of each file in one turn: what else is reported must not wait for it. */
const PIECES = 4;
/** Further ones are looked for ever more seldom while none come. */
const [SEARCH_MS, SEARCH_AT_MOST_MS, SEARCH_SLOWER] = [3_000, 30_000, 1.5];

export interface TensorboardOptions {
  /** Milliseconds, as of `performance.now`; for tests. */
  now?: () => number;
}

/** Reads the TensorBoard event files that a task writes below its work folder or `$NAVVY_TB`, as they grow. */
export function tensorboard(folder: AttemptFolder, { now = () => performance.now() }: TensorboardOptions = {}): Companion {
  return new Tensorboard(folder, now);
}

class Tensorboard implements Companion {
  readonly name = "tensorboard";
  readonly #folder: AttemptFolder;
  readonly #now: () => number;
  #opening: Promise<Watcher> | undefined;
  #begunAt: number;
  #nextReadAt: number;
  #nextSearchAt: number;
  #searchEveryMs = SEARCH_MS;

  constructor(folder: AttemptFolder, now: () => number) {
    this.#folder = folder;
    this.#now = now;
    this.#begunAt = now();
    this.#nextReadAt = this.#nextSearchAt = this.#begunAt + FIRST_LOOK_MS;
  }

  begin(): Promise<void> {
    this.#begunAt = this.#now();
    this.#nextReadAt = this.#nextSearchAt = this.#begunAt + FIRST_LOOK_MS;
    return Promise.resolve();
  }

  async turn(): Promise<boolean> {
    const now = this.#now();
    if (now < this.#nextReadAt) return false;
    const watcher = await this.#watcher();
    if (now >= this.#nextSearchAt) await this.#search(watcher);
    const isMore = await watcher.drain(PIECES);
    this.#nextReadAt = watcher.isEmpty ? this.#nextSearchAt : this.#now() + (isMore ? 0 : READ_EVERY_MS);
    return isMore;
  }

  async finish(): Promise<void> {
    const { NARROW, WIDE } = await import("./find.js");
    await this.#rest(this.#now() - this.#begunAt < FIRST_LOOK_MS / 3 ? NARROW : WIDE);
  }

  async #rest(bounds: Bounds): Promise<void> {
    const watcher = await this.#watcher();
    await watcher.look(bounds);
    await watcher.drain();
  }

  async #search(watcher: Watcher): Promise<void> {
    const { WIDE } = await import("./find.js");
    const began = this.#now();
    const isNew = await watcher.look(WIDE);
    this.#searchEveryMs = isNew ? SEARCH_MS : Math.min(this.#searchEveryMs * SEARCH_SLOWER, SEARCH_AT_MOST_MS);
    // A search that takes long comes seldom.
    this.#nextSearchAt = this.#now() + Math.max(this.#searchEveryMs, 50 * (this.#now() - began));
  }

  /** Loaded when it is needed first; opened once, and again after it failed. */
  #watcher(): Promise<Watcher> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<Watcher> {
    const { Watcher } = await import("./watcher.js");
    const { root, work, tensorboard: own, stdout } = this.#folder;
    // Made with the process. Where a file system does not know it, no file is taken for an old one.
    const sinceMs = await stat(stdout).then(
      ({ birthtimeMs }) => birthtimeMs,
      () => 0,
    );
    return Watcher.open({ root, folders: [own, work], sinceMs, eventsFile: eventsFile(this.#folder, "tensorboard") });
  }
}
