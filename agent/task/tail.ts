import { type FileHandle, open, stat } from "node:fs/promises";

/** Reads a file that grows, piece by piece; a file that is not there yet is an empty one. */
export class Tail {
  readonly #path: string;
  #file: FileHandle | undefined;
  #offset: number;

  /** @param offset where to begin, in bytes */
  constructor(path: string, offset = 0) {
    this.#path = path;
    this.#offset = offset;
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Reads the next bytes into the room. @returns how many: 0 when there are none for now */
  async readInto(room: Uint8Array): Promise<number> {
    const file = room.length > 0 ? await this.#open() : undefined;
    if (!file) return 0;
    const { bytesRead } = await file.read(room, 0, room.length, this.#offset);
    this.#offset += bytesRead;
    return bytesRead;
  }

  /** Goes on at a later byte. */
  skipTo(offset: number): void {
    this.#offset = Math.max(this.#offset, offset);
  }

  /** The next bytes, at most `maxBytes`; empty when there are none for now. */
  async read(maxBytes: number): Promise<Uint8Array> {
    const file = await this.#open();
    if (!file) return new Uint8Array();
    const { size } = await file.stat();
    const length = Math.min(size - this.#offset, maxBytes);
    if (length <= 0) return new Uint8Array();
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, this.#offset);
    this.#offset += bytesRead;
    return buffer.subarray(0, bytesRead);
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** A file with nothing in it is looked at and not opened: most tasks leave most of theirs empty. */
  async #open(): Promise<FileHandle | undefined> {
    if (this.#file) return this.#file;
    try {
      if ((await stat(this.#path)).size <= this.#offset) return undefined;
      this.#file = await open(this.#path, "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    return this.#file;
  }
}
