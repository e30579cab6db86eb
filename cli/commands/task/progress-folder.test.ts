import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ProgressFolder } from "./progress-folder.js";

function fold(bytes: Uint8Array, cuts: number[]): string {
  const folder = new ProgressFolder();
  const given: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const next = at + (cuts[i % cuts.length] ?? 1);
    given.push(folder.take(bytes.subarray(at, next)));
    at = next;
  }
  return Buffer.concat([...given, folder.rest()]).toString("latin1");
}

test.each([
  ["10%\r20%\r30%\n", "30%\n"],
  ["10%\r20%\r30%\r\ndone\n", "30%\r\ndone\n"],
  ["a\r\nb\r\n", "a\r\nb\r\n"],
  ["50%\r   \rdone\n", "done\n"],
  ["one\ntwo", "one\ntwo"],
  ["10%\r20%", "20%"],
  ["10%\r20%\r", "20%\r"],
  ["\n\n\r\n", "\n\n\r\n"],
])("%j is %j in the end, however it is cut", (text, folded) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (cuts) => {
      expect(fold(Buffer.from(text, "latin1"), cuts)).toBe(folded);
    }),
  );
});

test("what is no progress bar comes through byte for byte: binary, and a line longer than a bar can be", () => {
  const bytes = Buffer.from(randomBytes(3 * 2 ** 20).map((byte) => (byte === 0x0d ? 0 : byte)));
  expect(fold(bytes, [100_000]) === bytes.toString("latin1")).toBe(true);
  const line = Buffer.concat([Buffer.alloc(3 * 2 ** 20, "x"), Buffer.from("\n1\r2\n")]);
  expect(fold(line, [256 * 1024]) === `${"x".repeat(3 * 2 ** 20)}\n2\n`).toBe(true);
});
