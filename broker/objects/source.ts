import type { FileHandle } from "node:fs/promises";

/**
 * Where the bytes of an upload come from: fills the buffer from its start and says how many bytes it put there; fewer
 * than the buffer holds means that the end is reached. The buffers are reused, so an upload's memory is their number.
 */
export type Fill = (buffer: Buffer) => Promise<number>;

/** Reads the file from its start, or from a position, by position, so that a handle can be read more than once. */
export function fromFile(handle: FileHandle, position = 0): Fill {
  return async (buffer) => {
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position);
      if (bytesRead === 0) break;
      filled += bytesRead;
      position += bytesRead;
    }
    return filled;
  };
}

/** Throws at the next read once the signal has fired. */
export function cutBy(signal: AbortSignal, fill: Fill): Fill {
  return async (buffer) => {
    signal.throwIfAborted();
    return fill(buffer);
  };
}

export function fromBytes(bytes: Uint8Array): Fill {
  let offset = 0;
  return async (buffer) => {
    const part = bytes.subarray(offset, offset + buffer.length);
    buffer.set(part);
    offset += part.length;
    return part.length;
  };
}

/** Takes no more from the stream than the upload has room for. */
export function fromStream(iterator: AsyncIterator<Uint8Array | string>): Fill {
  let rest: Uint8Array = new Uint8Array(0);
  return async (buffer) => {
    let filled = 0;
    while (filled < buffer.length) {
      if (rest.length === 0) {
        const next = await iterator.next();
        if (next.done) break;
        rest = typeof next.value === "string" ? Buffer.from(next.value) : next.value;
      }
      const part = rest.subarray(0, buffer.length - filled);
      buffer.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
    }
    return filled;
  };
}
