import type { TaskRecord } from "../../protocol/index.js";

/** What the tables show of one task. */
export const COLUMNS = ["task", "status", "agent", "try", "time", "rate", "epoch", "loss", "accuracy"];

export function rowOf(task: TaskRecord): string[] {
  const metric = (key: string, digits: number) => task.reported.metrics[key]?.last.toFixed(digits) ?? "";
  const attempt = task.attempts.at(-1);
  const rate = task.clonedFrom === undefined ? undefined : task.spec.parameters["General"]?.["lr"];
  const heldOut = metric("held-out/accuracy", 3);
  return [
    task.name,
    task.status,
    attempt?.agent ?? "",
    task.attempt > 0 ? String(task.attempt) : "",
    attempt ? seconds(attempt.startedAt ?? attempt.claimedAt, attempt.endedAt) : "",
    typeof rate === "number" ? String(rate) : "",
    task.reported.progress && task.taskType !== "controller" ? `${task.reported.progress.n}/${task.reported.progress.of ?? "?"}` : "",
    metric("validation/loss", 4) || metric("held-out/loss", 4),
    task.taskType === "controller" ? "" : metric("validation/accuracy", 3) || heldOut,
  ];
}

/** Until now when it has not ended; clocks of two machines may disagree. */
function seconds(from: string, to = new Date().toISOString()): string {
  return `${(Math.max(0, Date.parse(to) - Date.parse(from)) / 1000).toFixed(1)} s`;
}

/** Oldest first. */
export function inOrder(tasks: Iterable<TaskRecord>): TaskRecord[] {
  return [...tasks].sort((a, b) => a.createdAt.localeCompare(b.createdAt) || a.id.localeCompare(b.id));
}

/** Columns side by side, numbers to the right; no line is longer than the terminal. */
export function table(rows: string[][], columns = process.stdout.columns || 120): string[] {
  const widths = COLUMNS.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: string[]) =>
    row
      .map((cell, i) => (i < 3 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  return [COLUMNS, ...rows].map((row) => line(row).slice(0, columns - 1));
}
