import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import type { AttemptFolder } from "../folder.js";
import { EventsFile, type Piece, type Position } from "./events-file.js";

/** Each is held open. */
const MAX_FILES = 100;
/** Errors that stay: the file is left out. Others are passed on, and it is tried again. */
const LASTING = new Set(["EACCES", "EPERM", "ELOOP", "EISDIR", "ENOTDIR"]);

/** Of each file by its name. */
export type Positions = Record<string, Position>;

/**
 * All files that the reports of an attempt come in: `$NAVVY_EVENTS`, and each `events-*.jsonl` beside it, of the task's own processes
 * or of the agent's own sources. New ones are found when they are looked for.
 */
export class EventsFiles {
  readonly #root: string;
  readonly #files = new Map<string, EventsFile>();
  readonly #isLeftOut = new Set<string>();
  readonly #onProblem: (problem: string) => void;
  #isFull = false;

  /** @param positions where an earlier agent stopped */
  constructor(folder: Pick<AttemptFolder, "root" | "events">, positions: Positions, onProblem: (problem: string) => void) {
    this.#root = folder.root;
    this.#onProblem = onProblem;
    for (const name of new Set([basename(folder.events), ...Object.keys(positions)])) this.#add(name, positions[name]);
  }

  /** With what was read last as being taken in. */
  get positions(): Positions {
    return Object.fromEntries(Array.from(this.#files.values(), (file) => [file.name, file.position]));
  }

  /**
   * What was appended since the last time, a bounded piece of each file; that is taken in then. What an earlier agent was taking in
   * when it died comes first, alone, as it was read then.
   */
  async next({ isFinal = false } = {}): Promise<Piece[]> {
    const all = [...this.#files.values()];
    const again = all.filter((file) => file.isAgain);
    for (const file of all) file.settle();
    const pieces = await Promise.all((again.length > 0 ? again : all).map((file) => this.#read(file, isFinal)));
    return pieces.filter((piece) => piece !== undefined);
  }

  /** Looks for new files. @returns the names of all that is in the folder */
  async look(): Promise<string[]> {
    const names = await readdir(this.#root).catch(() => []); // it was never made, or the task removed it
    for (const name of names.filter((each) => /^events-.+\.jsonl$/.test(each)).sort()) {
      if (this.#files.has(name) || this.#isLeftOut.has(name)) continue;
      if (this.#files.size + this.#isLeftOut.size < MAX_FILES) this.#add(name);
      else this.#tellFull(name);
    }
    return names;
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#files.values(), (file) => file.close()));
  }

  async #read(file: EventsFile, isFinal: boolean): Promise<Piece | undefined> {
    try {
      return await file.read(isFinal);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (!LASTING.has(code ?? "")) throw error;
      this.#files.delete(file.name);
      this.#isLeftOut.add(file.name);
      this.#onProblem(`${file.name} can not be read: ${message}`);
      await file.close();
      return undefined;
    }
  }

  #add(name: string, position?: Position): void {
    this.#files.set(name, new EventsFile(name, join(this.#root, name), position));
  }

  #tellFull(name: string): void {
    if (this.#isFull) return;
    this.#isFull = true;
    this.#onProblem(`${name} and others are not read: an attempt's reports come in at most ${MAX_FILES} files`);
  }
}
