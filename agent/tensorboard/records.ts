import { maskedCrc32c } from "./crc32c.js";

/** Before the data: its length (u64) and that one's checksum (u32), little-endian. */
const HEAD_BYTES = 12;
/** Behind it: its checksum. */
const TAIL_BYTES = 4;
/** More is no point of a metric: a graph, say. It is passed over unread. */
const MAX_RECORD_BYTES = 8 * 1024 * 1024;

/** What the bytes from some record's begin on hold. */
export interface Records {
  records: Uint8Array[];
  /** Up to the first record that is not all there; beyond the end of the bytes where a long one is passed over. */
  usedBytes: number;
  /** The whole length of that record, as far as it is known. */
  wantedBytes?: number;
  /** What is wrong at `usedBytes`: nothing behind it can be trusted. */
  fault?: string;
}

/** Takes records apart. One that is not all there yet is no fault: its writer is about to go on. */
export function recordsIn(bytes: Buffer): Records {
  const records: Uint8Array[] = [];
  let at = 0;
  for (;;) {
    if (bytes.length - at < HEAD_BYTES) return { records, usedBytes: at };
    if (bytes.readUInt32LE(at + 8) !== maskedCrc32c(bytes.subarray(at, at + 8)))
      return { records, usedBytes: at, fault: "the length of a record does not fit its checksum" };
    const length = Number(bytes.readBigUInt64LE(at));
    const end = at + HEAD_BYTES + length;
    if (length > MAX_RECORD_BYTES) return { records, usedBytes: end + TAIL_BYTES };
    if (bytes.length < end + TAIL_BYTES) return { records, usedBytes: at, wantedBytes: HEAD_BYTES + length + TAIL_BYTES };
    const data = bytes.subarray(at + HEAD_BYTES, end);
    if (bytes.readUInt32LE(end) !== maskedCrc32c(data)) return { records, usedBytes: at, fault: "a record does not fit its checksum" };
    records.push(data);
    at = end + TAIL_BYTES;
  }
}
