import type { SeenOverlap } from "../sampler.js";
import { type Marks, milliseconds } from "./marks.js";
import type { Violation } from "./violation.js";

/** An attempt's first mark must come after the last mark of every earlier one. */
export function judgeMarks(marks: Marks): Violation[] {
  const rule = "no two attempts at once" as const;
  return [...marks].flatMap(([task, attempts]) => {
    const found: Violation[] = [];
    for (const [i, attempt] of attempts.entries()) {
      if (attempt.begins > 1) found.push({ rule, task, text: `attempt ${attempt.attempt} was begun ${attempt.begins} times` });
      const earlier = attempts.slice(0, i).filter((each) => each.last >= attempt.first);
      for (const each of earlier) {
        const ms = milliseconds(each.last - attempt.first).toFixed(1);
        found.push({ rule, task, text: `attempt ${each.attempt} left its last mark ${ms} ms after attempt ${attempt.attempt} began` });
      }
    }
    return found;
  });
}

/** One line for each task that /proc showed in two attempts, however often it was seen. */
export function judgeSamples(overlaps: readonly SeenOverlap[]): Violation[] {
  const byTask = new Map<string, SeenOverlap[]>();
  for (const overlap of overlaps) byTask.set(overlap.task, [...(byTask.get(overlap.task) ?? []), overlap]);
  return [...byTask].map(([task, seen]) => {
    const processes = seen[0]?.processes.map((one) => `${one.pid} ${one.state} ${one.attemptKey?.split(".")[1]}`).join("; ");
    const text = `attempts ${seen[0]?.attempts.join(" and ")} could run at one moment, seen ${seen.length} times from ${seen[0]?.at} (${processes})`;
    return { rule: "no two attempts at once", task, text };
  });
}
