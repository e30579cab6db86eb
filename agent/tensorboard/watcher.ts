import { createReadStream } from "node:fs";
import { appendFile, open, stat } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { createInterface } from "node:readline";
import { EventFile, type FileMark } from "./event-file.js";
import { type Bounds, findEventFiles } from "./find.js";
import { linesOf } from "./lines.js";
import { Runs } from "./runs.js";

export interface WatcherParts {
  /** The attempt's folder: files are remembered by their way from here. */
  root: string;
  /** Where event files are looked for. */
  folders: readonly string[];
  /** Files that did not change since then were there before the task, in milliseconds. */
  sinceMs: number;
  /** Gets what is found, and where each file was read to. */
  eventsFile: string;
}

/**
 * The event files of one attempt. What they hold is appended to an events file of the agent's own, with the position it was read up to in
 * the same write: so another agent goes on without a gap or a repeat.
 */
export class Watcher {
  readonly #parts: WatcherParts;
  readonly #files: Map<string, EventFile>;
  readonly #runs: Runs;

  /** Goes on where an earlier agent stopped. */
  static async open(parts: WatcherParts): Promise<Watcher> {
    const marks = await marksIn(parts.eventsFile);
    return new Watcher(parts, marks);
  }

  private constructor(parts: WatcherParts, marks: ReadonlyMap<string, FileMark>) {
    this.#parts = parts;
    const known = Array.from(marks, ([name, mark]) => [join(parts.root, name), mark] as const);
    this.#files = new Map(known.map(([path, mark]) => [path, new EventFile(path, mark)]));
    this.#runs = new Runs(known.map(([path, { run }]) => [path, run]));
  }

  get isEmpty(): boolean {
    return this.#files.size === 0;
  }

  /** Looks for files. @returns whether there are new ones */
  async look(bounds: Bounds): Promise<boolean> {
    const paths = await findEventFiles(this.#parts.folders, bounds);
    const found: { path: string; at: number }[] = [];
    for (const path of paths.filter((each) => !this.#files.has(each))) {
      const seen = await stat(path).catch(() => undefined);
      // One that came with the code: it is read from its end on, should it grow all the same.
      if (seen) found.push({ path, at: seen.mtimeMs < this.#parts.sinceMs ? seen.size : 0 });
    }
    // Old ones are no runs of this task.
    for (const { path, at } of found.filter((each) => each.at > 0)) this.#files.set(path, new EventFile(path, { at, run: basename(path) }));
    const fresh = found.filter((each) => each.at === 0).sort((a, b) => bornOf(a.path) - bornOf(b.path));
    for (const { path } of fresh) this.#files.set(path, new EventFile(path, { at: 0, run: this.#runs.prefixOf(path) }));
    return fresh.length > 0;
  }

  /** Takes in what was added to the files. @param pieces at most so many of each @returns whether there may be more already */
  async drain(pieces = Number.POSITIVE_INFINITY): Promise<boolean> {
    let isAny = false;
    for (const file of this.#files.values()) {
      let isMore = true;
      for (let taken = 0; isMore && taken < pieces; taken++) isMore = await this.#take(file);
      isAny ||= isMore;
    }
    return isAny;
  }

  async #take(file: EventFile): Promise<boolean> {
    const before = file.mark.at;
    const added = await file.read().catch((error: NodeJS.ErrnoException) => {
      if (error.code === "EMFILE" || error.code === "ENFILE") throw error;
      return undefined; // it is gone, or became something else
    });
    if (added === undefined || (file.mark.at === before && added.problem === undefined)) return false;
    const name = relative(this.#parts.root, file.path);
    const lines: object[] = added.events.flatMap((event) => linesOf(event, file.mark.run));
    if (added.problem !== undefined) lines.push({ t: "note", level: "warn", text: `TensorBoard's ${name}: ${added.problem}` });
    lines.push({ t: "mark", file: name, ...file.takeMark() });
    await appendFile(this.#parts.eventsFile, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    return added.isMore;
  }
}

/** `events.out.tfevents.<seconds>.<host>…` says when it was made; others come last. */
function bornOf(path: string): number {
  return Number(/tfevents\.(\d{9,})/.exec(basename(path))?.[1] ?? Number.MAX_SAFE_INTEGER);
}

/** How far each file was read, by its way from the attempt's folder. */
async function marksIn(path: string): Promise<Map<string, FileMark>> {
  const marks = new Map<string, FileMark>();
  if (!(await endLine(path))) return marks;
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (!line.startsWith('{"t":"mark"')) continue;
    const known = markOf(line);
    if (!known) continue; // torn by a death of the agent: the one before counts
    const { file, plugins, ...mark } = known;
    marks.set(file, { ...mark, plugins: { ...marks.get(file)?.plugins, ...plugins } });
  }
  return marks;
}

function markOf(line: string): (FileMark & { file: string }) | undefined {
  try {
    return JSON.parse(line) as FileMark & { file: string };
  } catch {
    return undefined;
  }
}

/** An agent that died may have left the half of a line, which must not spoil the next one. @returns false: there is no file */
async function endLine(path: string): Promise<boolean> {
  const file = await open(path, "r+").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!file) return false;
  try {
    const { size } = await file.stat();
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, Math.max(size - 1, 0));
    if (size > 0 && buffer[0] !== 10) await file.write("\n", size);
    return true;
  } finally {
    await file.close();
  }
}
