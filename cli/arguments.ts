import { InvalidArgumentError } from "commander";
import type { ParameterValue } from "../protocol/index.js";

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `15m`, `1h30m`, `2d`, `250ms`; a bare number is seconds. Gives milliseconds. */
export function parseDuration(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1_000;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) throw new InvalidArgumentError("A duration looks like 90s, 15m, 1h30m or 2d.");
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g);
  return [...parts].reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNIT_MS[unit ?? "s"] ?? 0), 0);
}

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)$/;

/** `10m` (so long ago) or `2026-05-01T12:00:00Z`. Gives RFC 3339 in UTC. */
export function parseTime(text: string): string {
  if (RFC_3339.test(text) && !Number.isNaN(Date.parse(text))) return new Date(text).toISOString();
  if (!/^\d+(\.\d+)?(ms|[smhd])/.test(text))
    throw new InvalidArgumentError("A time looks like 10m or 1h30m (so long ago), or 2026-05-01T12:00:00Z (with its zone).");
  return new Date(Date.now() - parseDuration(text)).toISOString();
}

/** `2h` (so long from now), `2026-05-01T12:00:00Z`, or a local time, `2026-05-01T12:00`, which is left as it is. Gives RFC 3339 in UTC. */
export function parseComingTime(text: string): string {
  if (RFC_3339.test(text) && !Number.isNaN(Date.parse(text))) return new Date(text).toISOString();
  if (LOCAL_TIME.test(text)) return text;
  if (!/^\d+(\.\d+)?(ms|[smhd])/.test(text))
    throw new InvalidArgumentError(
      "A time looks like 2h (so long from now), 2026-05-01T12:00:00Z, or 2026-05-01T12:00 (in the zone of --tz).",
    );
  return new Date(Date.now() + parseDuration(text)).toISOString();
}

const LOCAL_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/;

/** A regular expression of JavaScript. */
export function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text, "u");
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}. It is a regular expression; \\ takes a sign for itself: \\[.`);
  }
}

/** `512M`, `2G`, or bytes; in powers of 1024. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?$/i.exec(text.trim());
  const power = " KMGT".indexOf((match?.[2] ?? "").toUpperCase() || " ");
  if (!match) throw new InvalidArgumentError("A size looks like 512M, 2G or 100000.");
  return Math.round(Number(match[1]) * 1024 ** power);
}

/** A whole number from 0 up. */
export function parseCount(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError("A whole number is wanted.");
}

/** Collects a repeatable flag. */
export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

/** `Section/name=value`: the value is JSON where it reads as JSON, else a string. The broker checks the section. */
export function collectParameter(text: string, before: Record<string, ParameterValue> = {}): Record<string, ParameterValue> {
  const [name, value] = splitPair(text, "Section/name=value");
  return { ...before, [name]: valueOrText(value) };
}

/** `KEY=VALUE`; `KEY` alone takes the value from this environment. */
export function collectVariable(text: string, before: Record<string, string> = {}): Record<string, string> {
  if (text.includes("=")) {
    const [name, value] = splitPair(text, "KEY=VALUE");
    return { ...before, [name]: value };
  }
  const value = process.env[text];
  if (value === undefined) throw new InvalidArgumentError(`${text} is not set here; give ${text}=VALUE.`);
  return { ...before, [text]: value };
}

/** `key=value` for labels and the like. */
export function collectPair(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [name, value] = splitPair(text, "key=value");
  return { ...before, [name]: value };
}

/** `auto`, `none`, `all`, or the numbers of the GPUs to use: `0,1`. */
export function parseGpus(text: string): "auto" | "none" | "all" | number[] {
  if (text === "auto" || text === "none" || text === "all") return text;
  if (/^\d+(,\d+)*$/.test(text)) return text.split(",").map(Number);
  throw new InvalidArgumentError("auto, none, all, or GPU numbers such as 0,1 are wanted.");
}

/** A value as it is typed: JSON where it reads as JSON, else the text. */
export function valueOrText(text: string): ParameterValue {
  try {
    const value = JSON.parse(text) as ParameterValue;
    // A number that would lose digits is an identifier that looks like one.
    return typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value) ? text : value;
  } catch {
    return text; // not JSON: what was meant is the text itself
  }
}

function splitPair(text: string, wanted: string): [string, string] {
  const at = text.indexOf("=");
  if (at <= 0) throw new InvalidArgumentError(`${wanted} is wanted.`);
  return [text.slice(0, at), text.slice(at + 1)];
}
