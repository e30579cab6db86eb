import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { isNavvyError, type NavvyError } from "../../protocol/index.js";
import type { Disposable } from "../host/disposable.js";
import { type Marker, readMarker, touchMarker, writeMarker } from "./marker.js";
import { measureFolder } from "./measure.js";

const SUFFIX = ".json";
/** In an attempt's folder: the key of what it uses, for as long as the folder is there. */
export const USES = "environment";

export interface EnvironmentsOptions {
  /** One agent's own. */
  dir: string;
  /** Where its attempts' folders are. */
  attempts: string;
  log: Logger;
  /** Something new is there: it may be over its limit now. */
  onMade: () => void;
}

/** What an attempt wants. */
export interface Want {
  key: string;
  kind: string;
  task: string;
  /** The attempt's folder. */
  root: string;
  /** How long a build for this task may take. */
  limitMs: number;
  /** Whether what it needs is in the folder. */
  isWhole: (folder: string) => Promise<boolean>;
  /** Fills the folder. */
  build: (folder: string) => Promise<void>;
  /** The last lines of a build that failed. */
  tail: () => string | undefined;
  /** Tells the task's log. */
  say: (text: string) => Promise<void>;
  /** Makes what is said in `act` a section of the log, whose last lines are kept should it fail. */
  section: (act: () => Promise<void>) => Promise<void>;
  cut: AbortSignal;
}

/** How a build ended, for those who waited for it. */
type Built = { how: "done" } | { how: "abandoned" } | { how: "failed"; error: NavvyError; tail: string };

interface Building {
  task: string;
  limitMs: number;
  over: Promise<Built>;
}

/** What is there to be used. */
export interface Environment {
  folder: string;
  /** Undefined: it was made just now, for this attempt. */
  made?: Pick<Marker, "madeAt" | "task">;
}

/**
 * What set-ups have made, one folder for each key, shared by the agent's tasks. A folder counts only with the marker beside it that
 * names it, written when all is there; virtual environments and the like hold their own path, so it is made where it stays, under a
 * name of its own that no leftover of a killed run can write into.
 */
export class Environments {
  readonly #options: EnvironmentsOptions;
  readonly #building = new Map<string, Building>();
  readonly #going = new Map<string, Promise<void>>();
  readonly #usedAt = new Map<string, number>();

  constructor(options: EnvironmentsOptions) {
    this.#options = options;
  }

  /**
   * The environment of a key; made here and now when there is none, by one of those that want it at the same time. The others wait:
   * they fail as it fails, and one of them takes over when it was cut short.
   */
  async use(want: Want): Promise<Environment> {
    const { key, cut } = want;
    this.#usedAt.set(key, performance.now());
    const writing = writeFile(join(want.root, USES), key);
    for (;;) {
      await this.#going.get(key);
      const [made] = await Promise.all([this.#find(want), writing]);
      if (made) return made;
      cut.throwIfAborted();
      const building = this.#building.get(key);
      if (!building) return { folder: await this.#build(want) };
      await want.section(() => this.#await(want, building));
    }
  }

  async #find({ key, isWhole }: Want): Promise<Environment | undefined> {
    const marker = await readMarker(this.#markerOf(key));
    if (!marker) return undefined;
    const folder = join(this.#options.dir, marker.folder);
    const isThere = touchMarker(this.#markerOf(key)).then(
      () => true,
      () => false,
    );
    const looks = await Promise.all([isWhole(folder), isThere]);
    return looks.includes(false) ? undefined : { folder, made: marker };
  }

  /** @throws what the build that was waited for failed with, unless this task would have given it more time */
  async #await({ say, cut, limitMs }: Want, { task, over, limitMs: theirs }: Building): Promise<void> {
    await say(`waiting for task ${task}, which makes the same environment: navvy logs ${task} -f --section setup`);
    const built = await Promise.race([over, cutShort(cut)]);
    if (built.how !== "failed") return built.how === "done" ? undefined : say(`task ${task} was ended before it was made`);
    if (built.error.detail.limitMs === theirs && limitMs > theirs) return say(`task ${task} gave it less time: made anew`);
    await say(`task ${task} could not make it:\n${built.tail}`);
    throw built.error;
  }

  async #build(want: Want): Promise<string> {
    let tell: (built: Built) => void = () => {};
    const over = new Promise<Built>((resolve) => (tell = resolve));
    this.#building.set(want.key, { task: want.task, limitMs: want.limitMs, over });
    const name = `${want.key.slice(0, 12)}-${randomBytes(4).toString("hex")}`;
    const folder = join(this.#options.dir, name);
    try {
      await mkdir(folder, { recursive: true });
      await want.build(folder);
      const { key, kind, task } = want;
      await writeMarker(this.#markerOf(key), { key, kind, task, folder: name, sizeBytes: await measureFolder(folder) });
      this.#building.delete(want.key);
      tell({ how: "done" });
      this.#options.onMade();
      return folder;
    } catch (error) {
      await this.#remove(folder);
      this.#building.delete(want.key);
      const isItsOwn = isNavvyError(error, "setup_failed") && !want.cut.aborted;
      tell(isItsOwn ? { how: "failed", error, tail: want.tail() ?? "" } : { how: "abandoned" });
      throw error;
    }
  }

  /** What nobody uses, for whoever needs the room. */
  async idle(): Promise<Disposable[]> {
    const { dir, attempts } = this.#options;
    const since = performance.now();
    const names = await readdir(attempts).catch(() => []);
    const used = new Set(await Promise.all(names.map((name) => readFile(join(attempts, name, USES), "utf8").catch(() => ""))));
    const markers = await Promise.all(await this.#keys().then((keys) => keys.map((key) => readMarker(this.#markerOf(key)))));
    return markers.flatMap((marker) => {
      if (!marker || used.has(marker.key)) return [];
      const { key, folder, usedAtMs, sizeBytes } = marker;
      const dispose = () => this.#dispose(key, { folder: join(dir, folder), since });
      return [{ what: `environment ${folder}`, usedAtMs, sizeBytes, dispose }];
    });
  }

  /** Bytes of all that is there. */
  async size(): Promise<number> {
    const markers = await Promise.all((await this.#keys()).map((key) => readMarker(this.#markerOf(key))));
    return markers.reduce((sum, marker) => sum + (marker?.sizeBytes ?? 0), 0);
  }

  /** Removes what an earlier run left half made. To be called when nothing of it runs any more. */
  async tidy(): Promise<void> {
    const { dir } = this.#options;
    const markers = await Promise.all((await this.#keys()).map((key) => readMarker(this.#markerOf(key))));
    const known = new Set(markers.flatMap((marker) => (marker ? [marker.folder, `${marker.key}${SUFFIX}`] : [])));
    const names = await readdir(dir).catch(() => []);
    await Promise.all(names.filter((name) => !known.has(name)).map((name) => this.#remove(join(dir, name))));
  }

  /** Looked at and taken out of use in one step: whoever wants it from here on waits, and makes it anew. */
  async #dispose(key: string, { folder, since }: { folder: string; since: number }): Promise<void> {
    if ((this.#usedAt.get(key) ?? 0) >= since || this.#building.has(key)) return;
    const going = rm(this.#markerOf(key), { force: true }).then(() => this.#remove(folder));
    this.#going.set(key, going);
    this.#usedAt.delete(key);
    await going.finally(() => this.#going.delete(key));
  }

  #markerOf(key: string): string {
    return join(this.#options.dir, `${key}${SUFFIX}`);
  }

  async #keys(): Promise<string[]> {
    const names = await readdir(this.#options.dir).catch(() => []);
    return names.filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length));
  }

  async #remove(path: string): Promise<void> {
    await rm(path, { recursive: true, force: true, maxRetries: 3 }).catch((error: unknown) =>
      this.#options.log.warn({ err: error, path }, "what is left of an environment could not be removed"),
    );
  }
}

function cutShort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const cut = () => reject(new Error("cut short"));
    if (signal.aborted) cut();
    signal.addEventListener("abort", cut, { once: true });
  });
}
