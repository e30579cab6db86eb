import { readFileSync } from "node:fs";

/** What one attempt's processes did, by their own marks; times in nanoseconds of the machine's monotonic clock. */
export interface Marked {
  attempt: number;
  first: bigint;
  last: bigint;
  marks: number;
  processes: Set<number>;
  begins: number;
  /** Exit codes that its main process was about to end with. */
  ends: number[];
}

/** The attempts of each task that left marks, in order. */
export type Marks = Map<string, Marked[]>;

/** @throws Error for a line that no worker writes: an observer that misreads judges nothing */
export function readMarks(path: string): Marks {
  const byKey = new Map<string, { task: string; marked: Marked }>();
  for (const line of readFileSync(path, "utf8").split("\n").filter(Boolean)) {
    const [task, attempt, pid, what, time] = line.split(" ");
    if (task === undefined || what === undefined || time === undefined) throw new Error(`not a mark: ${JSON.stringify(line)}`);
    const key = `${task}.${attempt}`;
    const at = BigInt(time);
    const known = byKey.get(key)?.marked;
    const marked = known ?? { attempt: Number(attempt), first: at, last: at, marks: 0, processes: new Set(), begins: 0, ends: [] };
    if (known === undefined) byKey.set(key, { task, marked });
    add(marked, { pid: Number(pid), what, at });
  }
  const marks: Marks = new Map();
  for (const { task, marked } of byKey.values()) marks.set(task, [...(marks.get(task) ?? []), marked]);
  for (const attempts of marks.values()) attempts.sort((a, b) => a.attempt - b.attempt);
  return marks;
}

function add(marked: Marked, { pid, what, at }: { pid: number; what: string; at: bigint }): void {
  marked.first = at < marked.first ? at : marked.first;
  marked.last = at > marked.last ? at : marked.last;
  marked.marks++;
  marked.processes.add(pid);
  if (what === "begin") marked.begins++;
  if (what.startsWith("end:")) marked.ends.push(Number(what.slice(4)));
}

export const milliseconds = (nanoseconds: bigint): number => Number(nanoseconds / 1000n) / 1000;
