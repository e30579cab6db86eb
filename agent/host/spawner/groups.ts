import { type Found, groupOf, sendSignal } from "./processes.js";
import type { Tree } from "./tree.js";

/** How often a round looks for processes that were born while it went about. */
const ROUNDS = 5;

/** To the process groups of running trees, in one call each. Once a main process was waited for, its number may be another's. */
export function signalGroups(trees: readonly Tree[], signal: NodeJS.Signals): void {
  for (const { pid, state } of trees) if (pid !== null && state === "running") sendSignal(-pid, signal);
}

/** The groups first; then whoever left them, found by the marker, until a round meets nobody new. */
export function signalTrees(trees: readonly Tree[], signal: NodeJS.Signals, look: () => Found): void {
  signalGroups(trees, signal);
  const met = new Set<number>();
  for (let round = 0; round < ROUNDS && trees.length > 0; round++) {
    const found = look();
    const fresh = trees.flatMap((tree) => fugitives(tree, found)).filter((pid) => !met.has(pid));
    if (fresh.length === 0) return;
    for (const pid of fresh) sendSignal(pid, signal);
    for (const pid of fresh) met.add(pid);
  }
}

/** A program must not get a signal twice: a second SIGTERM often means "at once". */
function fugitives({ pid, request }: Tree, found: Found): number[] {
  return (found.get(request.key) ?? []).filter((one) => groupOf(one) !== pid);
}
