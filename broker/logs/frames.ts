import { Readable } from "node:stream";
import { createGunzip, createGzip } from "node:zlib";
import { decode, encode, LogChunk, NavvyError, RolledLogHead } from "../../protocol/index.js";

/** Logs are text: more effort gains a few percent and costs several times as long. */
const GZIP_LEVEL = 4;
/** A message of the log stream is at most 1 MiB. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;
const LENGTH_BYTES = 4;
/** As large as most messages are: each piece is a way through the thread pool. */
const PIECE_BYTES = 256 * 1024;

/** The compressed content of a rolled log; memory holds a message or two, whatever its size. */
export function packFrames(head: Omit<RolledLogHead, "type">, messages: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  async function* frames() {
    yield frame(encode({ type: "navvy.rolled-log.v1", ...head } satisfies RolledLogHead));
    for await (const message of messages) yield frame(message);
  }
  return through(frames(), createGzip({ level: GZIP_LEVEL, chunkSize: PIECE_BYTES }));
}

/** The chunks of a rolled log, as they stood on the stream. @throws NavvyError unreadable, newer_version */
export async function* unpackFrames(content: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<LogChunk> {
  let isHead = true;
  for await (const bytes of split(through(content, createGunzip({ chunkSize: PIECE_BYTES })), what)) {
    if (isHead) decode(RolledLogHead, bytes, what);
    else yield decode(LogChunk, bytes, what);
    isHead = false;
  }
}

/** A failure on either side ends both, and is what whoever reads gets. */
async function* through(source: AsyncIterable<Uint8Array>, transform: NodeJS.ReadWriteStream): AsyncGenerator<Uint8Array> {
  const input = Readable.from(source, { objectMode: true, highWaterMark: 1 });
  const output = input.compose(transform);
  try {
    for await (const bytes of output) yield bytes as Uint8Array;
  } finally {
    input.destroy();
  }
}

function frame(message: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + message.length);
  bytes.writeUInt32BE(message.length, 0);
  bytes.set(message, LENGTH_BYTES);
  return bytes;
}

async function* split(content: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = Buffer.alloc(0);
  for await (const bytes of content) {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    for (let length = lengthOf(rest, what); rest.length >= LENGTH_BYTES + length; length = lengthOf(rest, what)) {
      yield rest.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
      rest = rest.subarray(LENGTH_BYTES + length);
    }
  }
  if (rest.length > 0) throw new NavvyError("unreadable", `${what} ends in the middle of a message`);
}

/** Of the next frame; infinite when not even its length is there. */
function lengthOf(bytes: Uint8Array, what: string): number {
  if (bytes.length < LENGTH_BYTES) return Number.POSITIVE_INFINITY;
  const length = Buffer.from(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).readUInt32BE(0);
  if (length <= MAX_FRAME_BYTES) return length;
  throw new NavvyError("unreadable", `${what} is no rolled log: a message in it would be ${length} bytes`);
}
