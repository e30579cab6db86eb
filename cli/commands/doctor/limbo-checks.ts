import type { Navvy } from "../../../broker/index.js";
import { count, shortId } from "../../output/words.js";
import { DEAD_KINDS, type Dead, type DeadKind } from "../queue/dead-row.js";
import { lookIntoLimbo } from "../queue/limbo.js";
import type { Check } from "./check.js";

/** What mends itself, or harms nobody: a warning. Everything else has work standing still. */
const HARMLESS = new Set<DeadKind>(["stale", "ghost"]);
const SHOWN = 3;

/** Everything in limbo, one finding for each kind of it. */
export async function checkLimbo(navvy: Navvy): Promise<Check[]> {
  const found = await lookIntoLimbo(navvy);
  if (found.length === 0)
    return [{ id: "limbo", status: "ok", text: "every task ends, waits with a message behind it, or runs under a session" }];
  const kinds = Object.keys(DEAD_KINDS) as DeadKind[];
  return kinds.flatMap((kind) => {
    const rows = found.filter((each) => each.kind === kind);
    return rows.length > 0 ? [finding(kind, rows)] : [];
  });
}

function finding(kind: DeadKind, rows: Dead[]): Check {
  const names = rows
    .slice(0, SHOWN)
    .map((row) => (row.task ? `${shortId(row.task)} ${row.name ?? ""}`.trim() : `${row.queue}/${row.sequence}`));
  const more = rows.length > SHOWN ? ` and ${rows.length - SHOWN} more` : "";
  return {
    id: kind,
    status: HARMLESS.has(kind) ? "warn" : "FAIL",
    text: `${count(rows.length, rows[0]?.task ? "task" : "message")}: ${names.join(", ")}${more}`,
    why: rows.length === 1 ? (rows[0]?.why ?? DEAD_KINDS[kind]) : DEAD_KINDS[kind],
    fix: [...(rows[0]?.fix ?? []), ...(rows.length > 1 ? ["navvy queue dead   (all of them)"] : [])],
    rows,
  };
}
