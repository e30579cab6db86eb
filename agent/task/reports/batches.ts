import type { Point } from "../../../protocol/index.js";

/** A point in columns. */
const POINT_BYTES = 26;
/** Far below what a server takes in one message. */
const BATCH_BYTES = 128 * 1024;

/** Points in batches, each with its names, of at most that size; the same points give the same batches. */
export function batchesOf(points: readonly Point[]): Point[][] {
  const batches: Point[][] = [];
  const names = new Set<string>();
  let bytes = Number.POSITIVE_INFINITY;
  for (const point of points) {
    const more = POINT_BYTES + (names.has(point.key) ? 0 : Buffer.byteLength(point.key) + 3);
    if (bytes + more > BATCH_BYTES) {
      batches.push([]);
      names.clear();
      bytes = 0;
    }
    bytes += POINT_BYTES + (names.has(point.key) ? 0 : Buffer.byteLength(point.key) + 3);
    names.add(point.key);
    batches.at(-1)?.push(point);
  }
  return batches;
}
