import { type FileHandle, open, stat } from "node:fs/promises";

/** More than that is read at once only where a line is longer. */
const READ_BYTES = 256 * 1024;
const MAX_LINE_BYTES = 1024 * 1024;
const NEWLINE = 10;

/** How far a file was taken in: all before `from`; what lies between `from` and `to` is being taken in. In bytes. */
export interface Position {
  from: number;
  to: number;
  /** Lines before `from`. */
  lines: number;
  /** `from` lies within a line that is too long. */
  isCut: boolean;
}

/** Whole lines that follow each other. */
export interface Piece {
  file: string;
  /** Number of the first one in its file, from 1. */
  first: number;
  lines: string[];
  /** What came after them was the beginning of a line that is too long. */
  isCutShort: boolean;
}

/**
 * An events file that grows, read in pieces of whole lines. What is not there yet is an empty one, and what is no file at all too: a
 * task may leave anything under that name, a folder or a pipe that holds up whoever opens it.
 */
export class EventsFile {
  readonly name: string;
  readonly #path: string;
  #file: FileHandle | undefined;
  /** `to` is the end of the piece that was read last. */
  #position: Position;
  /** What follows that piece. */
  #next: Position;
  #isAgain: boolean;
  /** The file's size when nothing but the beginning of a line was left. */
  #seenBytes = -1;

  /** @param position what an earlier agent was taking in is read again first, as the same piece */
  constructor(name: string, path: string, position: Position = startsAt(0)) {
    this.name = name;
    this.#path = path;
    this.#position = position;
    this.#next = position;
    this.#isAgain = position.to > position.from;
  }

  get position(): Position {
    return this.#position;
  }

  get isAgain(): boolean {
    return this.#isAgain;
  }

  /** What was read is taken in. */
  settle(): void {
    if (!this.#isAgain) this.#position = this.#next;
  }

  /** The next piece. @param isFinal its last line counts though nothing ends it */
  async read(isFinal: boolean): Promise<Piece | undefined> {
    this.settle();
    const size = await this.#size();
    if (size < this.#position.from) this.#position = this.#next = startsAt(0); // it was emptied, and is written anew
    const { from, to } = this.#position;
    const isAgain = this.#isAgain;
    this.#isAgain = false;
    if (size === from || (size === this.#seenBytes && !isFinal)) return undefined;
    const bytes = await this.#bytes(isAgain ? to - from : Math.min(size - from, READ_BYTES));
    if (isAgain || bytes.includes(NEWLINE)) return this.#piece(bytes, isAgain || (isFinal && from + bytes.length === size));
    // A long line, or the beginning of one.
    const more = await this.#bytes(Math.min(size - from, MAX_LINE_BYTES));
    const piece = this.#piece(more, isFinal && from + more.length === size);
    if (!piece) this.#seenBytes = size;
    return piece;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  #piece(bytes: Buffer, isWhole: boolean): Piece | undefined {
    const { from, lines: before, isCut } = this.#position;
    const isTooLong = !bytes.includes(NEWLINE) && (isCut || bytes.length >= MAX_LINE_BYTES);
    const length = isWhole || isTooLong ? bytes.length : bytes.lastIndexOf(NEWLINE) + 1;
    if (length === 0) return undefined;
    const to = from + length;
    this.#position = { ...this.#position, to };
    const piece = { file: this.name, first: before + 1, lines: [] as string[], isCutShort: isTooLong && !isCut };
    if (isTooLong) this.#next = { from: to, to, lines: before, isCut: true };
    else {
      const lines = bytes.toString("utf8", 0, length).split("\n");
      if (lines.at(-1) === "") lines.pop();
      this.#next = { from: to, to, lines: before + lines.length, isCut: false };
      if (isCut) lines[0] = ""; // the end of what was left out
      piece.lines = lines;
    }
    return piece;
  }

  async #bytes(length: number): Promise<Buffer> {
    if (!this.#file) return Buffer.alloc(0);
    const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(length), 0, length, this.#position.from);
    return buffer.subarray(0, bytesRead);
  }

  /** A file with nothing in it is looked at and not opened: most tasks leave most of theirs empty. */
  async #size(): Promise<number> {
    if (this.#file) return (await this.#file.stat()).size;
    try {
      const found = await stat(this.#path);
      if (!found.isFile()) return this.#position.from;
      if (found.size !== this.#position.from) this.#file = await open(this.#path, "r");
      return found.size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      return this.#position.from;
    }
  }
}

const startsAt = (from: number): Position => ({ from, to: from, lines: 0, isCut: false });
