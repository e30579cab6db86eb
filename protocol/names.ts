import { NavvyError } from "./errors.js";

/** Namespaces, queues and agents are one subject token: letters, digits, `-` and `_`, at most 64. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Checks that a name can stand in a subject and returns it.
 * @throws NavvyError invalid_argument
 */
export function checkName(kind: "namespace" | "queue" | "agent" | "label" | "secret" | "schedule" | "trigger", name: string): string {
  if (NAME.test(name)) return name;
  throw new NavvyError("invalid_argument", `${kind} name ${JSON.stringify(name)} is not acceptable`, {
    why: "a name is 1 to 64 of: letters, digits, - and _",
    fix: `use for example ${JSON.stringify(suggestName(kind, name))}`,
  });
}

/** The name without what is not acceptable; where nothing readable is left of it, one of the kind's own. */
function suggestName(kind: string, name: string): string {
  const plain = name.normalize("NFKD").replace(/\p{M}/gu, "");
  const kept = plain.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 64);
  if (/[A-Za-z0-9]/.test(kept)) return kept;
  return kind === "queue" ? DEFAULT_QUEUE : `${kind}-1`;
}

/** The queue whose tasks run in the light service slots. */
export const SERVICES_QUEUE = "services";
export const DEFAULT_QUEUE = "default";

/** Edit distance (Levenshtein), for "did you mean". */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

const withoutDigits = (name: string) => name.toLowerCase().replace(/\d+/g, "");

/**
 * The closest of `known` to `wanted` when it is near enough to be a slip of the finger, else undefined. Names that differ
 * in their numbers alone (gpu1, gpu2) are meant to differ, and those of one or two letters are too short to tell.
 */
export function closest(wanted: string, known: Iterable<string>): string | undefined {
  const limit = wanted.length <= 2 ? 0 : wanted.length <= 4 ? 1 : 2;
  let best: { name: string; distance: number } | undefined;
  for (const name of known) {
    if (withoutDigits(name) === withoutDigits(wanted) && name.toLowerCase() !== wanted.toLowerCase()) continue;
    const distance = editDistance(wanted.toLowerCase(), name.toLowerCase());
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { name, distance };
  }
  return best?.name;
}
