import type { LogPiece } from "../../../broker/index.js";
import type { LogStream } from "../../../protocol/index.js";

const NEWLINE = 0x0a;
const RETURN = 0x0d;
/** A line that is longer is given in parts: no text of JavaScript holds more than four times as much. */
const LONGEST_LINE = 128 * 2 ** 20;

/** A whole line of one stream; `at` is when its end was read. */
export interface LogLine {
  attempt: number;
  stream: LogStream;
  at: string;
  /** As in a piece of the log. */
  section?: string;
  /** In place of a line: so many bytes are not there. */
  omitted?: number;
  /** Without its end. */
  bytes: Uint8Array;
}

interface OpenLine {
  parts: Uint8Array[];
  length: number;
  last: Omit<LogLine, "bytes">;
}

/** Cuts pieces of logs into lines, each stream on its own. */
export class LineSplitter {
  readonly #open = new Map<string, OpenLine>();

  take({ attempt, stream, at, section, omitted, data }: LogPiece): LogLine[] {
    const key = `${attempt} ${stream} ${section ?? ""}`;
    const last = { attempt, stream, at, ...(section === undefined ? {} : { section }) };
    const open = this.#open.get(key) ?? { parts: [], length: 0, last };
    this.#open.set(key, open);
    open.last = last;
    if (omitted !== undefined) return [...closed(open), { ...last, omitted, bytes: data }];
    const lines: LogLine[] = [];
    let from = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, from)) {
      add(open, data.subarray(from, end));
      lines.push(close(open));
      from = end + 1;
    }
    add(open, data.subarray(from));
    if (open.length > LONGEST_LINE) lines.push(close(open));
    return lines;
  }

  /** Lines that never got their end. */
  rest(): LogLine[] {
    const open = [...this.#open.values()].flatMap(closed);
    this.#open.clear();
    return open;
  }
}

function add(open: OpenLine, part: Uint8Array): void {
  if (part.length === 0) return;
  open.parts.push(part);
  open.length += part.length;
}

function close(open: OpenLine): LogLine {
  const bytes = open.parts.length === 1 ? (open.parts[0] ?? new Uint8Array()) : Buffer.concat(open.parts);
  open.parts = [];
  open.length = 0;
  return { ...open.last, bytes };
}

const closed = (open: OpenLine): LogLine[] => (open.length > 0 ? [close(open)] : []);

/** What a line says: what is not UTF-8 in it is replaced, and `\r` at its end is part of the end. */
export function textOf({ bytes }: Pick<LogLine, "bytes">): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, withoutReturns(bytes).length).toString("utf8");
}

/** What a progress bar wrote over and over, as it was in the end: what stands behind the last carriage return. */
export function lastState(line: Uint8Array): Uint8Array {
  const at = withoutReturns(line).lastIndexOf(RETURN);
  return at < 0 ? line : line.subarray(at + 1);
}

function withoutReturns(line: Uint8Array): Uint8Array {
  let end = line.length;
  while (end > 0 && line[end - 1] === RETURN) end--;
  return line.subarray(0, end);
}
