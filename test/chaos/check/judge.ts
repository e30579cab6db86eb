import type { SeenOverlap } from "../sampler.js";
import type { SubmittedTask } from "../submit.js";
import { judgeArtifacts, judgeLogs, judgeMetrics, judgeSum } from "./content.js";
import { judgeServer } from "./leftovers.js";
import type { Marks } from "./marks.js";
import { type Case, judgeOutcome, judgeRecord } from "./outcomes.js";
import { judgeMarks, judgeSamples } from "./overlaps.js";
import type { Left } from "./read.js";
import type { Violation } from "./violation.js";

/** What the observers saw and who wished for what. */
export interface Evidence {
  tasks: readonly SubmittedTask[];
  left: Left;
  marks: Marks;
  overlaps: readonly SeenOverlap[];
}

/** Every rule on every task: those that were submitted, and the children that controllers made. */
export async function judge(evidence: Evidence): Promise<{ cases: Case[]; violations: Violation[] }> {
  const { tasks, left, marks, overlaps } = evidence;
  const missing = tasks.filter(({ id }) => !left.records.has(id));
  const violations: Violation[] = missing.map(({ id, planned }) => ({
    rule: "exactly one recorded outcome",
    task: id,
    text: `${planned.work.kind} ${planned.key} was submitted and has no record`,
  }));
  const cases = casesOf(evidence);
  for (const one of cases) {
    violations.push(...judgeRecord(one), ...judgeOutcome(one), ...judgeLogs(one, left));
    violations.push(...judgeMetrics(one, left), ...judgeSum(one, left), ...(await judgeArtifacts(one, left)));
  }
  violations.push(...judgeMarks(marks), ...judgeSamples(overlaps), ...judgeServer(left));
  return { cases, violations };
}

function casesOf({ tasks, left, marks }: Evidence): Case[] {
  const submitted = new Map(tasks.map((task) => [task.id, task]));
  return [...left.records.values()]
    .filter((record) => submitted.has(record.id) || record.parent !== undefined)
    .map((record) => ({
      submitted: submitted.get(record.id),
      record,
      events: left.events.get(record.id) ?? [],
      marked: marks.get(record.id) ?? [],
    }));
}
