const UNITS: [string, number][] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
];

/** `7s`, `12m08s`, `3h05m`, `2d4h`: two units at most, from milliseconds. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  const index = UNITS.findIndex(([, size]) => ms >= size);
  const [unit, size] = UNITS[index] as [string, number];
  const whole = Math.floor(ms / size);
  const next = UNITS[index + 1];
  const rest = next ? Math.floor((ms % size) / next[1]) : 0;
  if (!next || (rest === 0 && unit !== "m" && unit !== "h")) return `${whole}${unit}`;
  return `${whole}${unit}${rest === 0 ? "" : `${String(rest).padStart(unit === "d" ? 1 : 2, "0")}${next[0]}`}`;
}

/** How long ago a time was: `3m`; a dash for none. */
export function age(time: string | undefined, nowMs: number = Date.now()): string {
  return time === undefined ? "—" : short(nowMs - Date.parse(time));
}

/** One unit only: what a table's column has room for. */
function short(ms: number): string {
  const [unit, size] = UNITS.find(([, each]) => ms >= each) ?? ["s", 1_000];
  return `${Math.max(0, Math.floor(ms / size))}${unit}`;
}

/** `98 MiB`, binary, three digits at most. */
export function size(bytes: number): string {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let i = 0;
  while (value >= 1024 && i < names.length - 1) {
    value /= 1024;
    i++;
  }
  return `${i > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${names[i]}`;
}

/** A figure of a metric: four significant digits, no needless zeros. */
export function figure(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

/** `██████░░░░ 62 %` from a share of 0 to 1. */
export function bar(share: number, width = 10): string {
  const clamped = Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0));
  const full = Math.round(clamped * width);
  return `${"█".repeat(full)}${"░".repeat(width - full)} ${String(Math.round(clamped * 100)).padStart(3)} %`;
}
