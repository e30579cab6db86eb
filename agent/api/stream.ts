import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** For a file that may still grow: no more of it is read than was promised. */
export const upTo = (sizeBytes: number) => (sizeBytes > 0 ? { end: sizeBytes - 1 } : {});

/**
 * Sends content as it comes, no faster than it is taken; in chunks where its size is not known. What fails in the middle cuts the
 * connection: half is never taken for whole.
 */
export async function sendStream(
  response: ServerResponse,
  content: AsyncIterable<Uint8Array> | Readable,
  { sizeBytes }: { sizeBytes?: number },
): Promise<void> {
  const parts = content[Symbol.asyncIterator]();
  // What fails at the first byte can still be said.
  const first = sizeBytes !== 0 ? await parts.next() : undefined;
  response.writeHead(200, {
    "content-type": "application/octet-stream",
    ...(sizeBytes === undefined ? {} : { "content-length": sizeBytes }),
  });
  const rest = async function* () {
    if (first && !first.done) yield first.value;
    for (let next = await parts.next(); !next.done; next = await parts.next()) yield next.value;
  };
  try {
    await pipeline(Readable.from(rest(), { objectMode: false }), response);
  } catch {
    response.destroy(); // the client went away, or the content did
  } finally {
    await parts.return?.();
  }
}
