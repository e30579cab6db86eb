import { encode, type LogChunk } from "../protocol/index.js";

/** Largest chunk of a log. */
export const CHUNK_BYTES = 256 * 1024;
/** For the fields of the message that come before its bytes. */
const HEAD_BYTES = 1024;
/** How a message ends whose bytes are none: MessagePack's `bin 8` of length 0. */
const EMPTY_END = 2;
const NOTHING = new Uint8Array();

/**
 * Room for one chunk with its message around it, to be used again and again: what is read from a file into `room` is published
 * without being copied, and without new memory for each chunk.
 */
export class LogFrame {
  readonly #bytes = Buffer.allocUnsafeSlow(HEAD_BYTES + CHUNK_BYTES);

  /** Where the chunk's bytes go. */
  get room(): Uint8Array {
    return this.#bytes.subarray(HEAD_BYTES);
  }

  /** The encoded message, good until the room is used again. `message.data` is the beginning of the room. */
  seal(message: LogChunk): Uint8Array {
    const { data, ...fields } = message;
    const head = encode({ ...fields, data: NOTHING });
    const start = HEAD_BYTES - (head.length - EMPTY_END + 5);
    if (start < 0) return encode(message); // a section with a very long name
    this.#bytes.set(head.subarray(0, -EMPTY_END), start);
    this.#bytes[HEAD_BYTES - 5] = 0xc6; // bin 32
    this.#bytes.writeUInt32BE(data.length, HEAD_BYTES - 4);
    return this.#bytes.subarray(start, HEAD_BYTES + data.length);
  }
}
