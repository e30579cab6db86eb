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

test("what was left out is given in its place, once, and counts as there", () => {
  const assembler = new LogAssembler();
  const mark = { ...chunk(3, ""), omitted: 100 };
  const given = [chunk(103, "tail"), chunk(0, "abc"), mark, mark].flatMap((one) => [...assembler.take(1, one)]);
  expect(given.map(({ omitted, data }) => omitted ?? Buffer.from(data).toString())).toEqual(["abc", 100, "tail"]);
  expect(assembler.has(1, { out: 107 })).toBe(true);
});

test("after marks that differ (an agent died between them) the first one counts, and no byte is given twice", () => {
  const assembler = new LogAssembler();
  const given = [chunk(0, "ab"), { ...chunk(2, ""), omitted: 10 }, { ...chunk(2, ""), omitted: 6 }, chunk(8, "12345678")];
  const pieces = given.flatMap((one) => [...assembler.take(1, one)]);
  expect(pieces.map(({ omitted, data }) => omitted ?? Buffer.from(data).toString())).toEqual(["ab", 10, "5678"]);
});

test("bytes that have expired are told by their number, and no more is held for them than a window", () => {
  const assembler = new LogAssembler();
  const given = Array.from({ length: 1_000 }, (_, i) => [...assembler.take(1, chunk(50 + i, "x"))]).flat();
  expect(given[0]).toMatchObject({ omitted: 50 });
  expect(text(given)).toBe("x".repeat(1_000));
});
