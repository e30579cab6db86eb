import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { decode, LogChunk } from "../protocol/index.js";
import { CHUNK_BYTES, LogFrame } from "./log-frame.js";

test.each([1, 300, CHUNK_BYTES])("a frame with %i bytes is the message that anyone reads, also when it is used again", (length) => {
  const frame = new LogFrame();
  for (const section of [undefined, "setup: pip", "s".repeat(5_000)]) {
    const bytes = randomBytes(length);
    frame.room.set(bytes);
    const fields = { type: "navvy.log.v1", stream: "navvy", offset: 2 ** 40, at: new Date().toISOString(), section } as const;
    const read = decode(LogChunk, frame.seal({ ...fields, data: frame.room.subarray(0, length) }), "it");
    expect(read).toMatchObject(JSON.parse(JSON.stringify(fields)) as object);
    expect(Buffer.from(read.data).equals(bytes)).toBe(true);
  }
});
