import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { automatonOf } from "./patterns.js";
import { MASK, Redactor, redactText } from "./redactor.js";

const TOKEN = "hf_AbCdEfGh+/ij\"kl' mn\\€op";
const AUTOMATON = automatonOf([TOKEN]);
const inPieces = (chunks: Uint8Array[], automaton = AUTOMATON) => {
  const redactor = new Redactor(automaton);
  return Buffer.concat([...chunks.map((chunk) => Buffer.from(redactor.push(chunk))), redactor.end()]);
};
const cleaned = (text: string) => redactText(AUTOMATON, text);

test("a value is replaced wherever the stream is cut, and every other byte is left alone", () => {
  const text = fc.array(fc.oneof(fc.constant(TOKEN), fc.constant(TOKEN.slice(0, 9)), fc.string(), fc.constant("h")), { maxLength: 12 });
  fc.assert(
    fc.property(text, fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 20 }), (parts, cuts) => {
      const bytes = Buffer.from(parts.join("\n"));
      const chunks: Buffer[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const length = 1 + (cuts[i % cuts.length] ?? 0);
        chunks.push(bytes.subarray(at, at + length));
        at += length;
      }
      expect(inPieces(chunks).toString()).toBe(parts.map((part) => part.replaceAll(TOKEN, MASK)).join("\n"));
    }),
  );
});

test("bytes that are no text pass as they are", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), (chunks) => {
      expect(inPieces(chunks)).toEqual(Buffer.concat(chunks));
    }),
  );
});

test("what overlaps is gone as a whole, and what touches is two", () => {
  const automaton = automatonOf(["abcdefgh", "efghijkl", "cdefghijklmnop"]);
  expect(redactText(automaton, "<abcdefghijkl>")).toBe("<***>");
  expect(redactText(automaton, "<abcdefghijklmnop>")).toBe("<***>");
  expect(redactText(automaton, "<abcdefghabcdefgh>")).toBe("<******>");
  expect(
    inPieces(
      Array.from("<abcdefghijklmnop>", (letter) => Buffer.from(letter)),
      automaton,
    ).toString(),
  ).toBe("<***>");
});

test("no more is held back than may become a value, and of what shows in a pause no value can be guessed", () => {
  const redactor = new Redactor(AUTOMATON);
  const push = (text: string) => redactor.push(Buffer.from(text)).toString();
  expect(push("Password for hf")).toBe("Password for ");
  expect(redactor.idle().toString()).toBe("hf");
  expect(push(TOKEN.slice(2))).toBe(MASK);
  expect(push("x hf_A")).toBe("x ");
  expect(redactor.idle().toString()).toBe("");
  expect(push("!")).toBe("hf_A!");
});

describe("a value is found as programs write it", () => {
  const written: [string, string][] = [
    ["JSON", JSON.stringify({ a: TOKEN })],
    ["JSON in JSON", JSON.stringify(JSON.stringify(TOKEN))],
    ["JSON of Python", execFileSync("python3", ["-c", "import json,sys; print(json.dumps(sys.argv[1]))", TOKEN]).toString()],
    ["repr of Python", execFileSync("python3", ["-c", "import sys; print(repr(sys.argv[1]))", TOKEN]).toString()],
    ["shlex of Python", execFileSync("python3", ["-c", "import shlex,sys; print(shlex.quote(sys.argv[1]))", TOKEN]).toString()],
    ["a URL", new URL(`https://host/?token=${encodeURIComponent(TOKEN)}`).href],
    ["a form", new URLSearchParams({ token: TOKEN }).toString()],
    ["quote of Python", execFileSync("python3", ["-c", "import sys,urllib.parse as u; print(u.quote(sys.argv[1]))", TOKEN]).toString()],
    [
      "quote_plus of Python",
      execFileSync("python3", ["-c", "import sys,urllib.parse as u; print(u.quote_plus(sys.argv[1]))", TOKEN]).toString(),
    ],
    ["a shell that traces", execFileSync("bash", ["-c", 'exec 2>&1; set -x; : "$1"', "bash", TOKEN]).toString()],
    ["printf %q", execFileSync("bash", ["-c", 'printf %q "$1"', "bash", TOKEN], { env: { LC_ALL: "C.UTF-8" } }).toString()],
    ["hex", Buffer.from(TOKEN).toString("hex")],
    ["base64 and a line end", execFileSync("base64", { input: `${TOKEN}\n` }).toString()],
  ];
  test.each(written)("%s", (_name, text) => {
    expect(text).not.toContain(MASK);
    expect(cleaned(text)).toContain(MASK);
    expect(cleaned(text).length).toBeLessThan(text.length - TOKEN.length / 2);
  });

  test.each([0, 1, 2, 3, 4])("base64 with %i bytes before it", (before) => {
    for (const encoding of ["base64", "base64url"] as const) {
      const text = Buffer.from(`${"u".repeat(before)}${TOKEN}:tail`).toString(encoding);
      const left = cleaned(text).split(MASK);
      expect(left).toHaveLength(2);
      expect(Buffer.from(left.join(""), encoding).toString("latin1")).not.toContain("hf_");
      expect(left.join("").length).toBeLessThanOrEqual(before * 2 + 5 * 2 + 4);
    }
  });

  test("a key file: whole, line by line, indented, with the other line ends, in JSON, in base64 that is broken into lines", () => {
    const pem = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    const automaton = automatonOf([pem]);
    const lines = pem.split("\n").filter((line) => line !== "" && !line.startsWith("-----"));
    const wrapped = execFileSync("base64", { input: pem }).toString();
    const all = [
      pem,
      pem.replaceAll("\n", "\r\n"),
      pem.replaceAll(/^/gm, "    "),
      JSON.stringify(pem),
      lines[7] ?? "",
      encodeURIComponent(pem),
    ];
    for (const text of all) {
      const clean = redactText(automaton, text);
      for (const line of lines) expect(clean).not.toContain(line);
      for (const line of lines) expect(clean).not.toContain(encodeURIComponent(line));
      expect(clean).toContain(MASK);
    }
    const clean = redactText(automaton, wrapped);
    for (const line of wrapped.split("\n").slice(0, -2)) expect(clean).not.toContain(line);
    expect(redactText(automaton, "-----BEGIN PRIVATE KEY-----")).toBe("-----BEGIN PRIVATE KEY-----");
  });
});
