import { type FileHandle, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import {
  type JournalEntry,
  type JournalSession,
  type JournalSpawner,
  type JournalStart,
  JournalState,
  parseLines,
  toLine,
} from "./journal-entries.js";

export type { JournalEntry, JournalSession, JournalStart };

/** How a journal is kept. */
export interface JournalOptions {
  /** The file is written anew without what has ended once it passes this size in bytes. Default 16 MiB. */
  compactBytes?: number;
  /** Move what is there aside unread, and begin with nothing. */
  forget?: boolean;
}

const COMPACT_BYTES = 16 * 1024 * 1024;

interface Waiting {
  line: string;
  entry: JournalEntry;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * What runs on this machine, on its disk: so that an agent that was killed can adopt it or clean it up.
 *
 * An append is in the kernel's hands when it resolves, not synced: it must outlive the agent, and what runs does not outlive
 * the machine either (a sync per start cost 10 to 30 ms here, and bought nothing). Appends that come while one is being
 * written go together. A torn last line was never acknowledged and is ignored.
 */
export class Journal {
  readonly #path: string;
  #compactBytes: number;
  readonly #state: JournalState;
  /** What an earlier run left: starts without an end. An `end` takes its start away. */
  readonly live: Map<string, JournalStart>;
  /** The session of the earlier run. */
  readonly lastSession: JournalSession | undefined;
  /** The spawner of the earlier run: it may still be there. */
  readonly lastSpawner: JournalSpawner | undefined;
  #file: FileHandle;
  #sizeBytes: number;
  #waiting: Waiting[] = [];
  #committing: Promise<void> | undefined;
  #isClosed = false;

  /**
   * Reads what an earlier run left and writes the file anew without what has ended.
   *
   * @throws NavvyError unreadable, newer_version, disk_full; errors of the file system as they are
   */
  static async open(path: string, options: JournalOptions = {}): Promise<Journal> {
    const state = new JournalState();
    if (options.forget) await setAside(path);
    for (const entry of await readEntries(path)) state.apply(entry);
    return new Journal(path, state, { ...(await rewrite(path, state)), compactBytes: options.compactBytes ?? COMPACT_BYTES });
  }

  private constructor(path: string, state: JournalState, opened: Rewritten & { compactBytes: number }) {
    this.#path = path;
    this.#state = state;
    this.#file = opened.file;
    this.#sizeBytes = opened.sizeBytes;
    this.#compactBytes = opened.compactBytes;
    this.live = new Map(state.starts);
    this.lastSession = state.session;
    this.lastSpawner = state.spawner;
  }

  /**
   * In the kernel's hands when it resolves: a kill of the agent does not lose it.
   *
   * @throws NavvyError disk_full, internal (closed); errors of the file system as they are
   */
  append(entry: JournalEntry): Promise<void> {
    if (this.#isClosed) return Promise.reject(new NavvyError("internal", `the host journal is closed: ${this.#path}`));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line: toLine(entry), entry, resolve, reject });
      this.#committing ??= this.#commitAll();
    });
  }

  /** What was appended before is on disk when it resolves. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#committing;
    await this.#file.close();
  }

  async #commitAll(): Promise<void> {
    // A turn for whoever appends together with the first.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      await this.#commit(group).then(
        () => group.forEach((one) => one.resolve()),
        (error: unknown) => group.forEach((one) => one.reject(explain(this.#path, error))),
      );
    }
    this.#committing = undefined;
  }

  async #commit(group: Waiting[]): Promise<void> {
    const bytes = Buffer.from(group.map((one) => one.line).join(""));
    try {
      await this.#write(bytes);
    } catch (error) {
      // Part of a group may be there: nothing of it counts, and the next one overwrites it.
      await this.#file.truncate(this.#sizeBytes).catch(() => {});
      throw error;
    }
    this.#sizeBytes += bytes.length;
    for (const { entry } of group) this.#apply(entry);
    // A full disk keeps the long file going: what was appended is safe, so this is no failure of the append.
    if (this.#sizeBytes > this.#compactBytes) await this.#compact().catch(() => (this.#compactBytes *= 2));
  }

  /** At its place and not at the file's position, which a failed write may have moved. */
  async #write(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.#sizeBytes + done);
      done += bytesWritten;
    }
  }

  #apply(entry: JournalEntry): void {
    this.#state.apply(entry);
    if (entry.op === "end") this.live.delete(entry.key);
  }

  async #compact(): Promise<void> {
    const old = this.#file;
    const { file, sizeBytes } = await rewrite(this.#path, this.#state);
    this.#file = file;
    this.#sizeBytes = sizeBytes;
    await old.close();
  }
}

interface Rewritten {
  file: FileHandle;
  sizeBytes: number;
}

/** Either the old file or the new one is there whole, whenever the power fails. */
async function rewrite(path: string, state: JournalState): Promise<Rewritten> {
  const bytes = Buffer.from(state.lines());
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
    await rename(temporary, path);
  } catch (error) {
    await file.close();
    throw explain(path, error);
  }
  // From here on the new file is the one in use, also where a folder can not be synced.
  await syncFolder(dirname(path)).catch(() => {});
  return { file, sizeBytes: bytes.length };
}

/** A rename lasts only once the folder is on disk too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function readEntries(path: string): Promise<JournalEntry[]> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return parseLines(text, path);
}

/** Beside itself, under the time of day: nothing is deleted that a person may want to look at. */
async function setAside(path: string): Promise<void> {
  await rename(path, `${path}.${new Date().toISOString().replaceAll(":", "-")}.forgotten`).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}

function explain(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new NavvyError("disk_full", `no room for the host journal: ${path}`, { cause: error, fix: `df -h ${dirname(path)}` });
}
