import { Automaton } from "./automaton.js";

/** A shorter one would be found where it is not meant; the same number stands in `protocol/secrets.ts`, which may not be imported here. */
const SHORTEST = 8;
/** What tools break base64 into: `base64` and MIME at 76, PEM at 64. */
const LINE_LENGTHS = [64, 76];
/** With all that it may be written as, what is longer would make a table of many megabytes. */
const LONG = 512;

/** Finds every value, in each of the ways in which programs write values. */
export function automatonOf(values: readonly string[]): Automaton {
  const patterns = new Map<string, Buffer>();
  for (const pattern of values.flatMap(patternsOf)) patterns.set(pattern.toString("latin1"), pattern);
  return new Automaton([...patterns.values()]);
}

/** How a value may be written: as it is, its lines, encoded, escaped, quoted. A long one of several lines is known by its lines. */
export function patternsOf(value: string): Buffer[] {
  const lines = linesOf(value);
  const isByLines = lines.length > 0 && value.length > LONG;
  const whole = isByLines ? [value] : endingsOf(value);
  const texts = (isByLines ? lines : [...whole, ...lines]).flatMap((text) => [text, ...escapesOf(text)]);
  const bytes = whole.map((text) => Buffer.from(text));
  const encoded = [...bytes.flatMap(base64Of), ...bytes.flatMap(hexOf)];
  const unique = new Set([...whole, ...texts, ...encoded]);
  return [...unique].map((text) => Buffer.from(text)).filter(({ length }) => length >= SHORTEST);
}

/** With the line ends of the other systems, and as a shell's `$(…)` would hand it on. */
function endingsOf(value: string): string[] {
  const unix = value.replaceAll("\r\n", "\n");
  return [value, unix, unix.replaceAll("\n", "\r\n"), unix.trimEnd(), unix.replaceAll("\n", " ")];
}

/** A value of several lines may be told line by line. The frame of a key file is no secret. */
function linesOf(value: string): string[] {
  const lines = value.split(/\r?\n/).map((line) => line.trim());
  return lines.length < 2 ? [] : lines.filter((line) => line.length >= SHORTEST && !/^-+(BEGIN|END) [\w ]+-+$/.test(line));
}

function escapesOf(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1);
  return [json, json.replaceAll("/", "\\/"), ...asciiOf(json), JSON.stringify(json).slice(1, -1), ...percentOf(text), ...shellOf(text)];
}

/** As Python and PHP write JSON. */
function asciiOf(json: string): string[] {
  const codes = [(code: string) => code, (code: string) => code.toUpperCase()];
  return codes.map((cased) =>
    json.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${cased(unit.charCodeAt(0).toString(16).padStart(4, "0"))}`),
  );
}

/** As JavaScript does it, as the standard has it, as in paths, and as in forms; the digits in either case. */
function percentOf(text: string): string[] {
  const script = encodeURIComponent(text);
  const strict = script.replaceAll(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
  const all = [script, strict, strict.replaceAll("%2F", "/"), script.replaceAll("%20", "+"), strict.replaceAll("%20", "+")];
  return [...all, ...all.map((each) => each.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()))];
}

/** As `set -x`, `printf %q` and Python's shlex write it: in quotes it holds the text itself, unless that holds one. */
function shellOf(text: string): string[] {
  return [
    text.replaceAll("'", "'\\''"),
    text.replaceAll("'", `'"'"'`),
    text.replaceAll(/[\\"$`]/g, "\\$&"),
    text.replaceAll(/[^\w@%+=:,./\n\u0080-\uffff-]/g, "\\$&"),
    text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\n", "\\n").replaceAll("\t", "\\t"),
  ];
}

/**
 * What of base64 does not depend on what stands around the value, for each of the three places at which it may begin; and the whole
 * for a value that stands alone, also where that is broken into lines.
 */
function base64Of(value: Buffer): string[] {
  const inside = [0, 1, 2].map((before) => {
    const length = before + value.length;
    const text = Buffer.concat([Buffer.alloc(before), value])
      .toString("base64")
      .replace(/=+$/, "");
    return text.slice([0, 2, 3][before], length % 3 === 0 ? undefined : -1);
  });
  const alone = [value, Buffer.concat([value, Buffer.from("\n")])].map((each) => each.toString("base64"));
  const lines = alone.flatMap((text) => LINE_LENGTHS.flatMap((length) => text.match(new RegExp(`.{1,${length}}`, "g")) ?? []));
  const all = [...inside, ...alone, ...alone.map((text) => text.replace(/=+$/, "")), ...lines];
  return [...all, ...all.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"))];
}

function hexOf(value: Buffer): string[] {
  const hex = value.toString("hex");
  return [hex, hex.toUpperCase()];
}
