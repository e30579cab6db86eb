import { createHash } from "node:crypto";
import type { SubmittedTask } from "../submit.js";
import type { Marked } from "./marks.js";
import type { PlainEvent, PlainOutcome, PlainRecord } from "./read.js";
import type { Violation } from "./violation.js";

const ENDED = ["completed", "failed", "aborted"];

/** A submitted task and all that is known of it from outside. */
export interface Case {
  /** Undefined: a child that a controller made. */
  submitted?: SubmittedTask;
  record: PlainRecord;
  events: PlainEvent[];
  marked: Marked[];
}

/** Whether the record has one end, and each of its attempts one outcome. */
export function judgeRecord({ record, events }: Case): Violation[] {
  const wrong = (text: string): Violation => ({ rule: "exactly one recorded outcome", task: record.id, text });
  const found: Violation[] = [];
  if (!ENDED.includes(record.status)) return [wrong(`it is ${record.status} (${record.reason}) and has not ended`)];
  if (record.outcome === undefined) found.push(wrong(`it is ${record.status} without an outcome`));
  const open = record.attempts.filter((attempt) => attempt.outcome === undefined);
  if (open.length > 0) found.push(wrong(`attempts without an outcome: ${open.map((one) => one.attempt).join(", ")}`));
  const numbers = record.attempts.map((one) => one.attempt);
  // The first, and the latest: twenty in all.
  const expected = Array.from({ length: record.attempt }, (_, i) => i + 1).filter((one) => one === 1 || one > record.attempt - 19);
  if (numbers.join() !== expected.join()) found.push(wrong(`its attempts are [${numbers.join()}], expected [${expected.join()}]`));
  const ends = events.filter((event) => ENDED.includes(event.event));
  if (ends.length > 1)
    found.push(wrong(`its end was told ${ends.length} times: ${ends.map((one) => `${one.event} at ${one.at}`).join(", ")}`));
  return found;
}

/** Whether what is recorded is what the program did, and what was wished. */
export function judgeOutcome(one: Case): Violation[] {
  const { record, submitted, marked } = one;
  if (!ENDED.includes(record.status)) return [];
  const wrong = (text: string): Violation => ({ rule: "the outcome is the right one", task: record.id, text });
  const found = record.attempts.flatMap(({ attempt, outcome }) => {
    const reason = outcome && wrongOutcome(one, { attempt, outcome, marks: marked.find((each) => each.attempt === attempt) });
    return reason === undefined ? [] : [wrong(`attempt ${attempt} is recorded as ${say(outcome)}: ${reason}`)];
  });
  if (record.status === "aborted" && submitted?.abort === undefined) found.push(wrong("it is aborted and nobody wished it"));
  if (record.status === "completed" && !isSuccess(record.outcome)) found.push(wrong(`it is completed with ${say(record.outcome)}`));
  if (record.status === "failed" && !mayFail(one)) found.push(wrong(`it failed with ${say(record.outcome)} (${record.reason})`));
  const later = marked.filter((each) => each.attempt > record.attempt);
  if (later.length > 0) found.push(wrong(`attempt ${later[0]?.attempt} ran, and the record knows of ${record.attempt}`));
  return found;
}

function wrongOutcome({ submitted }: Case, run: { attempt: number; outcome: PlainOutcome; marks: Marked | undefined }): string | undefined {
  const { attempt, outcome, marks } = run;
  const work = submitted?.planned.work;
  switch (outcome.kind) {
    case "exited": {
      const code = exitCode(work, attempt);
      if (outcome.code !== code) return `its program ends with ${code}`;
      return marks?.ends.includes(code) ? undefined : "its program never got to its end";
    }
    case "lost":
    case "given_back":
      return undefined;
    case "timed_out":
      return work?.kind === "limited" ? undefined : "it has no time limit";
    case "aborted":
      return submitted?.abort === undefined ? "nobody wished it" : undefined;
    default:
      return "no program of this suite ends like that, and no fault may look like it";
  }
}

/** Out of retries, or at its time limit: what its program was made for. */
function mayFail({ record, submitted }: Case): boolean {
  const kind = record.outcome?.kind;
  if (kind === "timed_out") return submitted?.planned.work.kind === "limited" && record.failures > record.spec.retries.limit;
  return kind === "exited" && record.outcome?.code !== 0 && record.failures > record.spec.retries.limit;
}

/** The same rule as in `worker.py`. */
function exitCode(work: { seed: number; exits: number } | undefined, attempt: number): number {
  if (work === undefined) return 0;
  const [first = 0] = createHash("sha256").update(`${work.seed}:exit:${attempt}`).digest();
  return first < work.exits ? 3 : 0;
}

const isSuccess = (outcome: PlainOutcome | undefined) => outcome?.kind === "exited" && outcome.code === 0;

function say(outcome: PlainOutcome | undefined): string {
  return outcome === undefined ? "nothing" : `${outcome.kind} ${outcome.code ?? outcome.signal ?? ""}`.trim();
}
