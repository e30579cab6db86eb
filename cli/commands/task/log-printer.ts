import { once } from "node:events";
import type { LogPiece } from "../../../broker/index.js";
import type { LogStream } from "../../../protocol/index.js";
import type { Output } from "../../output/output.js";
import { count } from "../../output/words.js";
import { LineSplitter, type LogLine, lastState, textOf } from "./line-splitter.js";
import { ProgressFolder } from "./progress-folder.js";

/** Prints one task's log, piece by piece; each call prints whole lines, so that several tasks may print at once. */
export interface LogPrinter {
  take(piece: LogPiece): Promise<void>;
  /** What comes from here on is live. */
  caughtUp(): void;
  /** There is no more of it. */
  end(): Promise<void>;
}

export interface LineOptions {
  /** The task, for data. */
  task: string;
  /** Before each line. */
  prefix?: string | undefined;
  timestamps?: boolean | undefined;
  grep?: RegExp | undefined;
  /** Of what is stored only the last lines. */
  tail?: number | undefined;
  /** Of several live ones it is not known which is the last. */
  follow?: boolean | undefined;
}

const target = (stream: LogStream) => (stream === "out" ? process.stdout : process.stderr);
/** In the place of bytes that are not there. */
export const omittedText = (bytes: number) => `[navvy: ${count(bytes, "byte").replace(/\B(?=(\d{3})+(?!\d))/g, ",")} left out here]`;

/** The bytes as they came, and on stderr what is not there. */
export class RawPrinter implements LogPrinter {
  readonly #out: Output;

  constructor(out: Output) {
    this.#out = out;
  }

  async take({ omitted, stream, attempt, data }: LogPiece): Promise<void> {
    if (omitted !== undefined) process.stderr.write(`${omittedText(omitted)} (stream ${stream}, attempt ${attempt})\n`);
    await this.#out.bytes(data, target(stream));
  }

  caughtUp(): void {}
  async end(): Promise<void> {}
}

/** The bytes as they came, with progress bars folded unless a terminal shows them move. */
export class PlainPrinter implements LogPrinter {
  readonly #out: Output;
  readonly #folds: boolean;
  readonly #folders = new Map<string, { folder: ProgressFolder; stream: LogStream }>();
  /** Streams whose last line has no end yet. */
  readonly #open = new Set<LogStream>();

  constructor(out: Output, { folds }: { folds: boolean }) {
    this.#out = out;
    this.#folds = folds;
  }

  async take({ omitted, stream, attempt, data }: LogPiece): Promise<void> {
    const key = `${attempt} ${stream}`;
    const folder = this.#folders.get(key)?.folder ?? new ProgressFolder();
    if (this.#folds) this.#folders.set(key, { folder, stream });
    if (omitted === undefined) return this.#print(this.#folds ? folder.take(data) : data, stream);
    await this.#print(folder.rest(), stream);
    await this.#print(Buffer.from(`${this.#open.has(stream) ? "\n" : ""}${omittedText(omitted)}\n`), stream);
  }

  caughtUp(): void {}

  async end(): Promise<void> {
    for (const { folder, stream } of this.#folders.values()) await this.#print(folder.rest(), stream);
  }

  async #print(data: Uint8Array, stream: LogStream): Promise<void> {
    if (data.length === 0) return;
    if (data.at(-1) === 0x0a) this.#open.delete(stream);
    else this.#open.add(stream);
    await this.#out.bytes(data, target(stream));
  }
}

/** Line by line: prefixed, searched, the last of them, or as data. */
export class LinePrinter implements LogPrinter {
  readonly #out: Output;
  readonly #options: LineOptions;
  readonly #splitter = new LineSplitter();
  /** The last lines, until what is stored has all come. */
  #last: LogLine[] | undefined;

  constructor(out: Output, options: LineOptions) {
    this.#out = out;
    this.#options = options;
    this.#last = options.tail === undefined ? undefined : [];
  }

  async take(piece: LogPiece): Promise<void> {
    await this.#give(this.#splitter.take(piece));
  }

  caughtUp(): void {
    if (this.#options.follow) this.#printLast();
  }

  async end(): Promise<void> {
    await this.#give(this.#splitter.rest());
    this.#printLast();
  }

  #printLast(): void {
    const last = this.#last ?? [];
    this.#last = undefined;
    for (const line of last) this.#print(line);
  }

  async #give(lines: LogLine[]): Promise<void> {
    const { grep, tail = 0 } = this.#options;
    for (const line of lines) {
      const folded = { ...line, bytes: lastState(line.bytes) };
      if (grep && line.omitted === undefined && !grep.test(textOf(folded))) continue;
      if (this.#last) {
        this.#last.push(folded);
        if (this.#last.length > tail) this.#last.shift();
      } else this.#print(folded);
    }
    for (const to of [process.stdout, process.stderr]) if (to.writableNeedDrain) await once(to, "drain");
  }

  #print(line: LogLine): void {
    const { task, timestamps, prefix } = this.#options;
    const { bytes, ...rest } = line;
    const text = line.omitted === undefined ? textOf({ bytes }) : omittedText(line.omitted);
    if (this.#out.isData) return this.#out.event("log", { task, ...rest, ...(line.omitted === undefined ? { text } : {}) }, () => text);
    target(line.stream).write(`${[timestamps ? line.at : "", prefix ?? "", text].filter((part) => part !== "").join(" ")}\n`);
  }
}
