import { open } from "node:fs/promises";
import type { Logs } from "../../broker/index.js";
import type { LogChunk, LogStream } from "../../protocol/index.js";
import { sizeOf } from "../host/size-of.js";
import type { AttemptFolder } from "./folder.js";
import type { SetupLog } from "./setup-log.js";
import { StateFile } from "./state-file.js";
import { Tail } from "./tail.js";

const CHUNK_BYTES = 256 * 1024;
const WINDOW = 8;
const TAIL_BYTES = 4096;
/** How far it has come is written down this often: what an agent that adopts the attempt ships twice, readers drop. */
const NOTE_EVERY_MS = 1_000;

/** Bytes of each stream that NATS has for sure. */
type Shipped = Record<LogStream, number>;

const NOTHING: Shipped = { out: 0, err: 0, navvy: 0 };

export interface LogShipperParts {
  logs: Logs;
  target: { id: string; attempt: number };
  folder: Pick<AttemptFolder, "stdout" | "stderr" | "setup" | "sections" | "shipped">;
  /** What is written to `folder.setup`, with its sections. */
  setupLog: SetupLog;
  signal: AbortSignal;
}

/**
 * Ships an attempt's spool files as chunks with their offsets, a window of them in flight. The files are the memory:
 * while NATS is away nothing more is read, and nothing is lost; and after the agent's death the next one goes on.
 */
export class LogShipper {
  readonly #parts: LogShipperParts;
  readonly #tails: Record<LogStream, Tail>;
  readonly #state: StateFile<Shipped>;
  readonly #inFlight = new Map<Promise<void>, { stream: LogStream; offset: number }>();
  #last: Uint8Array;
  #failure: unknown;
  #notedAt = performance.now();
  #noted = 0;

  /** Goes on where an earlier agent stopped. */
  static async resume(parts: LogShipperParts): Promise<LogShipper> {
    const shipped = (await new StateFile<Shipped>(parts.folder.shipped).read()) ?? NOTHING;
    return new LogShipper(parts, shipped, await endOf(parts.folder.stdout, shipped.out));
  }

  constructor(parts: LogShipperParts, from: Shipped = NOTHING, last: Uint8Array = new Uint8Array()) {
    this.#parts = parts;
    const { setup, stdout, stderr } = parts.folder;
    this.#tails = { navvy: new Tail(setup, from.navvy), out: new Tail(stdout, from.out), err: new Tail(stderr, from.err) };
    this.#last = last;
    this.#state = new StateFile(parts.folder.shipped);
  }

  /** Ships what is there. Resolves when all of it is read and at most a window is under way. @returns whether there was any */
  async drain(): Promise<boolean> {
    const { setupLog, signal } = this.#parts;
    const tails = (Object.entries(this.#tails) as [LogStream, Tail][]).filter(([stream]) => stream !== "navvy" || !setupLog.isEmpty);
    const open = new Set(tails);
    const before = this.#readBytes;
    while (open.size > 0 && !signal.aborted) {
      for (const one of open) {
        const [stream, tail] = one;
        const { offset } = tail;
        const { section, end } = stream === "navvy" ? setupLog.at(offset) : { end: Number.POSITIVE_INFINITY };
        const most = Math.min(CHUNK_BYTES, end - offset);
        const data = await tail.read(most);
        if (data.length > 0) await this.#ship({ stream, offset, data, ...(section === undefined ? {} : { section }) });
        if (data.length < most) open.delete(one);
      }
      await this.#note();
    }
    return this.#readBytes > before;
  }

  get #readBytes(): number {
    return Object.values(this.#tails).reduce((sum, { offset }) => sum + offset, 0);
  }

  /** Waits until the stream has all that was drained. @returns bytes per stream */
  async finish(): Promise<Record<string, number>> {
    await Promise.all(this.#inFlight.keys());
    await this.close();
    if (this.#failure !== undefined) throw this.#failure;
    const { out, err, navvy } = this.#tails;
    return { out: out.offset, err: err.offset, ...(navvy.offset > 0 ? { navvy: navvy.offset } : {}) };
  }

  /** Bytes in the files that are not in the stream yet. */
  async waitingBytes(): Promise<number> {
    const { stdout, stderr } = this.#parts.folder;
    const [printed, complained] = await Promise.all([sizeOf(stdout), sizeOf(stderr)]);
    const { out, err } = this.#shipped();
    return Math.max(0, printed - out) + Math.max(0, complained - err);
  }

  /** The last lines that were printed. */
  get tail(): string {
    return Buffer.from(this.#last).toString("utf8");
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.#tails).map((tail) => tail.close()));
  }

  async #ship(piece: Pick<LogChunk, "stream" | "offset" | "data" | "section">): Promise<void> {
    const { stream, offset, data } = piece;
    this.#last = Buffer.concat([this.#last, data.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
    while (this.#inFlight.size >= WINDOW) await Promise.race(this.#inFlight.keys());
    const { logs, target, signal } = this.#parts;
    const sending: Promise<void> = logs
      .publish(target, { ...piece, at: new Date().toISOString() }, signal)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#inFlight.delete(sending));
    this.#inFlight.set(sending, { stream, offset });
  }

  /** Now and then; a short task never does. */
  async #note(): Promise<void> {
    if (performance.now() - this.#notedAt < NOTE_EVERY_MS || this.#failure !== undefined) return;
    const shipped = this.#shipped();
    const sum = shipped.out + shipped.err + shipped.navvy;
    if (sum === this.#noted) return;
    this.#notedAt = performance.now();
    this.#noted = sum;
    await this.#state.write(shipped);
  }

  #shipped(): Shipped {
    const { out, err, navvy } = this.#tails;
    const shipped: Shipped = { out: out.offset, err: err.offset, navvy: navvy.offset };
    for (const { stream, offset } of this.#inFlight.values()) shipped[stream] = Math.min(shipped[stream], offset);
    return shipped;
  }
}

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
