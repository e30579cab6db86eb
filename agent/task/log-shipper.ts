import { open } from "node:fs/promises";
import type { Logger } from "pino";
import { CHUNK_BYTES, type Logs } from "../../broker/index.js";
import { LOG_STREAMS, type LogStream } from "../../protocol/index.js";
import { sizeOf } from "../host/size-of.js";
import type { AttemptFolder } from "./folder.js";
import { LogLimit, type PerStream } from "./log-limit.js";
import { type LogTarget, LogWindow } from "./log-window.js";
import type { SetupLog } from "./setup-log.js";
import { SpoolRoom } from "./spool-room.js";
import { StateFile } from "./state-file.js";
import { Tail } from "./tail.js";

const TAIL_BYTES = 4096;
/** How far it has come is written down this often: what an agent that adopts the attempt ships twice, readers drop. */
const NOTE_EVERY_MS = 1_000;

/** Bytes of each stream that NATS has for sure; `left`: up to where bytes will be left out. */
interface Shipped extends PerStream {
  left?: PerStream;
}

const NOTHING: PerStream = { out: 0, err: 0, navvy: 0 };
const NO_BYTES = new Uint8Array();

export interface LogShipperParts {
  logs: Logs;
  target: LogTarget;
  folder: Pick<AttemptFolder, "stdout" | "stderr" | "setup" | "sections" | "shipped">;
  /** What is written to `folder.setup`, with its sections. */
  setupLog: SetupLog;
  /** What is kept of the log: half of it from the start, half from the end. */
  logLimitBytes: number;
  signal: AbortSignal;
  log: Logger;
}

/**
 * Ships an attempt's spool files as chunks with their offsets, a window of them in flight. The files are the memory:
 * while NATS is away nothing more is read, and nothing is lost; and after the agent's death the next one goes on.
 *
 * Once half of the limit is shipped, the rest is held: only its end is kept on the disk. When all is printed, that end is shipped,
 * behind a mark that says how many bytes were left out.
 */
export class LogShipper {
  readonly #parts: LogShipperParts;
  readonly #tails: Record<LogStream, Tail>;
  readonly #state: StateFile<Shipped>;
  readonly #window: LogWindow;
  readonly #limit: LogLimit;
  readonly #room: SpoolRoom;
  #last: Uint8Array;
  /** Bytes before these are given up, if they are not shipped. */
  #left: PerStream;
  /** All is printed: the end is being shipped. */
  #isEnding = false;
  #notedAt = performance.now();
  #noted = 0;

  /** Goes on where an earlier agent stopped. */
  static async resume(parts: LogShipperParts): Promise<LogShipper> {
    const shipped = (await new StateFile<Shipped>(parts.folder.shipped).read()) ?? NOTHING;
    return new LogShipper(parts, shipped, await endOf(parts.folder.stdout, shipped.out));
  }

  constructor(parts: LogShipperParts, from: Shipped = NOTHING, last: Uint8Array = NO_BYTES) {
    this.#parts = parts;
    const { setup, stdout, stderr, shipped } = parts.folder;
    this.#tails = { navvy: new Tail(setup, from.navvy), out: new Tail(stdout, from.out), err: new Tail(stderr, from.err) };
    this.#last = last;
    this.#left = { ...(from.left ?? NOTHING) };
    this.#state = new StateFile(shipped);
    this.#window = new LogWindow(parts);
    this.#limit = new LogLimit(parts.logLimitBytes);
    this.#room = new SpoolRoom({ out: stdout, err: stderr, navvy: setup }, parts.log);
  }

  /**
   * Ships what is there, as far as the limit allows. Resolves when all of it is read and at most a window is under way.
   * @param isOver nothing more will be printed: the end is shipped too
   * @returns whether there was any
   */
  async drain({ isOver = false } = {}): Promise<boolean> {
    const before = this.#readBytes;
    await this.#shipAll();
    if (isOver && this.isHeld) {
      await this.#leaveOut();
      this.#isEnding = true;
      await this.#shipAll();
    } else await this.#note();
    return this.#readBytes > before;
  }

  /** Waits until the stream has all that was drained. @returns bytes per stream, with those that were left out */
  async finish(): Promise<Record<string, number>> {
    try {
      await this.#window.settle();
    } finally {
      await this.close();
    }
    const { out, err, navvy } = this.#offsets();
    return { out, err, ...(navvy > 0 ? { navvy } : {}) };
  }

  /** Bytes in the files that are not in the stream yet and are on their way there. */
  async waitingBytes(): Promise<number> {
    const [sizes, shipped] = [await this.#sizes(), this.#shipped()];
    // Of one that is held nothing waits, unless the last of its start does: until that is stored no disk is given back.
    const end = this.isHeld && this.#window.isEmpty ? this.#offsets() : sizes;
    return Math.max(0, end.out - shipped.out) + Math.max(0, end.err - shipped.err);
  }

  /** The disk is short: as little as can be is kept there from now on. */
  squeeze(): void {
    this.#room.squeeze();
    if (!this.isHeld) return;
    this.#limit.squeeze();
  }

  /** The last lines that were shipped. */
  get tail(): string {
    return Buffer.from(this.#last).toString("utf8");
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.#tails).map((tail) => tail.close()));
  }

  /** As much of the log is read as is kept of its start: from here on only the end is. */
  get isHeld(): boolean {
    return !this.#isEnding && (this.#readBytes >= this.#limit.headBytes || sum(this.#left) > 0);
  }

  get #readBytes(): number {
    return sum(this.#offsets());
  }

  async #shipAll(): Promise<void> {
    const open = new Set<LogStream>(LOG_STREAMS);
    if (this.#parts.setupLog.isEmpty) open.delete("navvy");
    while (open.size > 0 && !this.#parts.signal.aborted) {
      for (const stream of open) if (!(await this.#shipNext(stream))) open.delete(stream);
      if (open.size > 0) await this.#note();
    }
  }

  /** @returns whether there may be more */
  async #shipNext(stream: LogStream): Promise<boolean> {
    const tail = this.#tails[stream];
    const { offset } = tail;
    const { section, end } = stream === "navvy" ? this.#parts.setupLog.at(offset) : { end: Number.POSITIVE_INFINITY };
    if (this.isHeld) return false;
    const headLeft = this.#isEnding ? Number.POSITIVE_INFINITY : this.#limit.headBytes - this.#readBytes;
    const most = Math.min(CHUNK_BYTES, end - offset, headLeft);
    const frame = this.#window.frame();
    const data = frame.room.subarray(0, await tail.readInto(frame.room.subarray(0, most)));
    if (data.length === 0) {
      this.#window.giveBack(frame);
      return false;
    }
    this.#last = Buffer.concat([this.#last, data.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
    await this.#window.send({ stream, offset, data, ...(section === undefined ? {} : { section }) }, frame);
    return data.length === most;
  }

  /** Goes on at the end that is kept, and says in its place how much is not there. */
  async #leaveOut(): Promise<void> {
    const starts = await this.#keptFrom();
    for (const stream of LOG_STREAMS) {
      const { offset } = this.#tails[stream];
      const omitted = starts[stream] - offset;
      if (omitted <= 0) continue;
      const { section } = stream === "navvy" ? this.#parts.setupLog.at(offset) : {};
      this.#tails[stream].skipTo(starts[stream]);
      this.#last = NO_BYTES;
      await this.#window.send({ stream, offset, omitted, data: NO_BYTES, ...(section === undefined ? {} : { section }) });
    }
  }

  /** Where in each stream the end begins that is kept; what was given up stays so. */
  async #keptFrom(): Promise<PerStream> {
    const tails = this.#limit.tails(this.#offsets(), await this.#sizes());
    for (const stream of LOG_STREAMS) this.#left[stream] = Math.max(this.#left[stream], tails[stream]);
    return this.#left;
  }

  /** Now and then, what is not needed any more is given back; a short task never does. */
  async #note(): Promise<void> {
    if (performance.now() - this.#notedAt < NOTE_EVERY_MS || this.#window.hasFailed) return;
    this.#notedAt = performance.now();
    // Never while something is under way: what is written down as left out lies behind a start that is stored as a whole.
    if (this.isHeld && this.#window.isEmpty) await this.#keptFrom();
    const left = { ...this.#left };
    const shipped = { ...this.#shipped(), ...(sum(left) > 0 ? { left } : {}) };
    const all = sum(shipped) + sum(left);
    if (all === this.#noted || !(await this.#state.write(shipped))) return;
    this.#noted = all;
    // Only what is written down: an agent that adopts the attempt must never ship what was given back.
    const needed = (stream: LogStream) => (this.isHeld ? Math.max(shipped[stream], left[stream]) : shipped[stream]);
    await this.#room.giveBack({ out: needed("out"), err: needed("err"), navvy: needed("navvy") });
  }

  #offsets(): PerStream {
    const { out, err, navvy } = this.#tails;
    return { out: out.offset, err: err.offset, navvy: navvy.offset };
  }

  async #sizes(): Promise<PerStream> {
    const { stdout, stderr, setup } = this.#parts.folder;
    const [out, err, navvy] = await Promise.all([sizeOf(stdout), sizeOf(stderr), this.#parts.setupLog.isEmpty ? 0 : sizeOf(setup)]);
    return { out, err, navvy };
  }

  #shipped(): PerStream {
    return { ...this.#offsets(), ...this.#window.unstored() };
  }
}

const sum = ({ out, err, navvy }: PerStream) => out + err + navvy;

/** The last bytes before an offset; none where the task removed its file. */
async function endOf(path: string, offset: number): Promise<Uint8Array> {
  const length = Math.min(offset, TAIL_BYTES);
  if (length === 0) return new Uint8Array();
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return new Uint8Array();
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset - length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
