import type { Parked } from "../../protocol/index.js";
import { count, shortId } from "./words.js";

/** `2 tasks, all of them: JB7QRE, JB7QRF; until 2026-…` */
export function awaitedWords({ on, all, until, keys }: Parked): string {
  const few = on.slice(0, 5).map(shortId).join(", ");
  const tasks = `${count(on.length, "task")}${on.length > 1 ? (all ? ", all of them" : ", one of them") : ""}: ${few}${on.length > 5 ? ", …" : ""}`;
  const parts = [on.length > 0 ? tasks : undefined, until && `until ${until}`, keys ? "someone to wake it" : undefined];
  return parts.filter(Boolean).join("; ");
}
