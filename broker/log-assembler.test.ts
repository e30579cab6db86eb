import fc from "fast-check";
import { expect, test } from "vitest";
import type { LogChunk } from "../protocol/index.js";
import { LogAssembler } from "./log-assembler.js";

const chunk = (offset: number, text: string, stream: LogChunk["stream"] = "out"): LogChunk => ({
  type: "navvy.log.v1",
  stream,
  offset,
  at: "",
  data: Buffer.from(text),
});
const text = (pieces: Iterable<{ data: Uint8Array }>) => [...pieces].map((piece) => Buffer.from(piece.data).toString()).join("");

test("chunks that come twice, before their turn or overlapping give every byte once and in order", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1, maxLength: 5, unit: "grapheme-ascii" }), { minLength: 1, maxLength: 12 }),
      fc.array(fc.nat(), { minLength: 60, maxLength: 60 }),
      (parts, dice) => {
        const chunks: LogChunk[] = [];
        for (const part of parts)
          chunks.push(
            chunk(
              chunks.reduce((sum, one) => sum + one.data.length, 0),
              part,
            ),
          );
        const sent = [...chunks, ...chunks.filter((_, i) => (dice[i] ?? 0) % 3 === 0)];
        sent.sort((a, b) => (dice[a.offset] ?? 0) - (dice[b.offset] ?? 0));
        const assembler = new LogAssembler();
        expect(sent.map((one) => text(assembler.take(1, one))).join("")).toBe(parts.join(""));
      },
    ),
  );
});

test("nothing of an attempt shows once a newer one has begun", () => {
  const assembler = new LogAssembler();
  expect(text(assembler.take(1, chunk(0, "old")))).toBe("old");
  expect(text(assembler.take(2, chunk(0, "new")))).toBe("new");
  expect(text(assembler.take(1, chunk(3, "late")))).toBe("");
});

test("it is complete when every stream has the bytes that the record names", () => {
  const assembler = new LogAssembler();
  text(assembler.take(1, chunk(0, "abc")));
  expect(assembler.has(1, { out: 3, err: 0 })).toBe(true);
  expect(assembler.has(1, { out: 3, err: 1 })).toBe(false);
  expect(assembler.has(2, { out: 3 })).toBe(false);
});

test("a log whose start has expired is given from where it begins", () => {
  const assembler = new LogAssembler();
  expect(text(assembler.take(1, chunk(100, "tail")))).toBe("");
  expect(text(assembler.rest())).toBe("tail");
});
