const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const DURATION = /^(?:\d+(?:\.\d+)?|(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)$/;
export const SIZE = /^\d+(?:\.\d+)?\s*(?:[KMGTkmgt]i?[Bb]?|[Bb])?$/;

/** `90s`, `1h30m`; a bare number is seconds. As the command line has it, in milliseconds. */
export function durationMs(given: string | number): number {
  const text = String(given);
  if (/^[\d.]+$/.test(text)) return Number(text) * 1_000;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)].reduce((sum, [, amount, unit]) => sum + Number(amount) * UNIT_MS[unit!]!, 0);
}

/** `40GiB`, `512M`, or bytes; in powers of 1024. */
export function sizeBytes(given: string | number): number {
  const [, amount, unit = ""] = /^([\d.]+)\s*([KMGT]?)/i.exec(String(given))!;
  return Math.round(Number(amount) * 1024 ** " KMGT".indexOf(unit.toUpperCase() || " "));
}
