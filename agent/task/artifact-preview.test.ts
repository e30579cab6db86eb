import { expect, test } from "vitest";
import { describe as describeBytes } from "./artifact-preview.js";

const png = Buffer.from("89504e470d0a1a0a0000000d4948445200000280000001e0", "hex");
const jpeg = Buffer.from("ffd8ffe000104a46494600010100000100010000ffc0001108012c019003012200", "hex");
const gif = Buffer.from("47494638396110000800", "hex");

test.each([
  ["notes.txt", Buffer.from("one\ntwo\nthree\nfour\nfive\n"), { mediaType: "text/plain", preview: "one\ntwo\nthree\nfour" }],
  ["data.csv", Buffer.from("id,name\n1,a\n2,b\n"), { mediaType: "text/csv", preview: "id,name\n1,a\n2,b" }],
  ["stats.json", Buffer.from('{\n  "accuracy": 0.9\n}\n'), { mediaType: "application/json", preview: '{ "accuracy": 0.9 }' }],
  ["stats", Buffer.from('{"a": 1}'), { mediaType: "application/json", preview: '{"a": 1}' }],
  ["plot.png", png, { mediaType: "image/png", preview: "640 × 480" }],
  ["photo.dat", jpeg, { mediaType: "image/jpeg", preview: "400 × 300" }],
  ["a.gif", gif, { mediaType: "image/gif", preview: "16 × 8" }],
  ["model.pt", Buffer.from([0, 1, 2, 255]), { mediaType: "application/octet-stream" }],
  ["x.safetensors", Buffer.from([0, 1]), { mediaType: "application/x-safetensors" }],
  ["latin1.txt", Buffer.from([0x67, 0xfc, 0x6e]), { mediaType: "application/octet-stream" }],
  ["empty.txt", Buffer.alloc(0), { mediaType: "application/octet-stream" }],
  ["colour.txt", Buffer.from("\u001b[31mred\u001b[0m"), { mediaType: "text/plain", preview: "[31mred[0m" }],
])("%s is described by its name and its first bytes", (name, bytes, told) => {
  expect(describeBytes(name, bytes)).toEqual(told);
});

test("a long line is cut, and never in the middle of a character", () => {
  const { preview = "" } = describeBytes("x.txt", Buffer.from("😀".repeat(1000)).subarray(0, 4095));
  expect(preview.length).toBeLessThanOrEqual(200);
  expect(preview).toMatch(/^(😀)+…$/u);
});
