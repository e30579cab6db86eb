import { paint } from "../../output/words.js";

const LEVELS: Record<number, [string, Parameters<typeof paint>[0]]> = {
  10: ["trace", "dim"],
  20: ["debug", "dim"],
  40: ["warn", "yellow"],
  50: ["ERROR", "red"],
  60: ["FATAL", "red"],
};
const HIDDEN = new Set(["level", "time", "pid", "hostname", "name", "msg", "agent", "err"]);

/** One line for people of one JSON line of the log: `16:20:01 gpu-7  task 9F3K started  queue=gpu`. */
export function prettyLine(line: string, agent: string): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line; // not ours: shown as it is
  }
  const time = new Date(Number(entry.time) || Date.now()).toTimeString().slice(0, 8);
  const level = LEVELS[Number(entry.level)];
  const error = entry.err as { message?: string } | undefined;
  const details = Object.entries(entry).flatMap(([key, value]) =>
    HIDDEN.has(key) ? [] : [`${key}=${typeof value === "string" ? value : JSON.stringify(value)}`],
  );
  const parts = [
    paint("dim", time),
    paint("cyan", agent),
    level ? paint(level[1], level[0]) : "",
    typeof entry.msg === "string" ? entry.msg : "",
    error?.message ?? "",
    paint("dim", details.join(" ")),
  ];
  return parts.filter((part) => part !== "").join("  ");
}
