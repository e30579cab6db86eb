import fc from "fast-check";
import { expect, test } from "vitest";
import { LineSplitter, textOf } from "./line-splitter.js";

const piece = (data: Uint8Array, stream: "out" | "err" = "out") => ({ attempt: 1, stream, at: "2026-01-01T00:00:00Z", data });

test("however a text is cut into pieces, the same lines come out", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.string({ unit: "grapheme" }).filter((line) => !/[\r\n]/.test(line)),
        { minLength: 1 },
      ),
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
      (lines, cuts) => {
        const bytes = Buffer.from(`${lines.join("\n")}\n`);
        const splitter = new LineSplitter();
        const seen: string[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const next = at + (cuts[i % cuts.length] ?? 1);
          seen.push(...splitter.take(piece(bytes.subarray(at, next))).map(textOf));
          at = next;
        }
        expect(seen).toEqual(lines);
        expect(splitter.rest()).toEqual([]);
      },
    ),
  );
});

test("streams do not run into each other, and an open line comes at the end", () => {
  const splitter = new LineSplitter();
  expect(splitter.take(piece(Buffer.from("a")))).toEqual([]);
  expect(splitter.take(piece(Buffer.from("b\n"), "err"))).toMatchObject([{ stream: "err", bytes: Buffer.from("b") }]);
  expect(splitter.rest()).toMatchObject([{ stream: "out", bytes: Buffer.from("a") }]);
});
