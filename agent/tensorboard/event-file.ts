import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { type Event, eventOf, type Plugins } from "./event.js";
import { recordsIn } from "./records.js";

const READ_BYTES = 1024 * 1024;

/** What is remembered of an event file, so that whoever comes after goes on where this one stopped. */
export interface FileMark {
  /** Bytes that are taken in. */
  at: number;
  /** What goes before its tags. */
  run: string;
  /** Nothing behind `at` can be trusted. */
  isBroken?: boolean;
  /** What its writer said of tags. */
  plugins?: Plugins;
}

/** What was added to a file. */
export interface Added {
  events: Event[];
  /** What is wrong with it, for people. */
  problem?: string;
  /** More may be there already. */
  isMore: boolean;
}

/** An event file that another process goes on writing. */
export class EventFile {
  readonly path: string;
  readonly mark: FileMark;
  readonly #plugins: Plugins;
  #knownPlugins = 0;

  constructor(path: string, mark: FileMark) {
    this.path = path;
    this.mark = { at: mark.at, run: mark.run, ...(mark.isBroken ? { isBroken: true } : {}) };
    this.#plugins = Object.assign(Object.create(null) as Plugins, mark.plugins);
    this.#knownPlugins = Object.keys(this.#plugins).length;
  }

  /** What to remember now: of the plugins, those that are new. */
  takeMark(): FileMark {
    const all = Object.entries(this.#plugins);
    const plugins = Object.fromEntries(all.slice(this.#knownPlugins));
    this.#knownPlugins = all.length;
    return { ...this.mark, ...(Object.keys(plugins).length > 0 ? { plugins } : {}) };
  }

  /** A bounded piece of what was added since the last time. @throws what the file system says */
  async read(): Promise<Added> {
    const nothing = { events: [], isMore: false };
    if (this.mark.isBroken) return nothing;
    // A link is not followed, and a pipe holds nobody up.
    const file = await open(this.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const found = await file.stat();
      if (!found.isFile() || found.size <= this.mark.at) return nothing;
      return await this.#take(file, found.size);
    } finally {
      await file.close();
    }
  }

  async #take(file: FileHandle, size: number): Promise<Added> {
    let bytes = await this.#bytes(file, Math.min(size - this.mark.at, READ_BYTES));
    let found = recordsIn(bytes);
    const isWhole = (wanted: number) => wanted > bytes.length && wanted <= size - this.mark.at;
    if (found.records.length === 0 && found.wantedBytes !== undefined && isWhole(found.wantedBytes)) {
      bytes = await this.#bytes(file, found.wantedBytes);
      found = recordsIn(bytes);
    }
    const from = this.mark.at;
    // A long record that is passed over may not be all there yet.
    if (from + found.usedBytes > size) return { events: [], isMore: false };
    this.mark.at = from + found.usedBytes;
    const { events, problem } = this.#events(found.records);
    if (found.fault !== undefined) this.mark.isBroken = true;
    const fault = found.fault === undefined ? problem : `${found.fault} at byte ${this.mark.at}; what follows is left out`;
    return { events, isMore: found.usedBytes > 0 && this.mark.at < size, ...(fault === undefined ? {} : { problem: fault }) };
  }

  async #bytes(file: FileHandle, length: number): Promise<Buffer> {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, this.mark.at);
    return buffer.subarray(0, bytesRead);
  }

  #events(records: Uint8Array[]): { events: Event[]; problem?: string } {
    const events: Event[] = [];
    let problem: string | undefined;
    for (const record of records) {
      try {
        events.push(eventOf(record, this.#plugins));
      } catch (error) {
        problem ??= `a record can not be read (${(error as Error).message}) and is left out`;
      }
    }
    return { events, ...(problem === undefined ? {} : { problem }) };
  }
}
