import type { ArtifactRef } from "../protocol/index.js";
import type { NoteLevel, Value } from "../task/index.js";
import { task } from "../task/index.js";

/** Where a task's own reports go: what `task.log` offers. */
export interface Report {
  /** One point of a metric. Without `step` the points of a key are counted from 0. */
  scalar(key: string, value: number, options?: { step?: number }): void;
  /** How far it is: `progress(3, 10, "runs")`. */
  progress(n: number, of?: number, unit?: string): void;
  /** A sentence on the task's page. */
  note(level: NoteLevel, text: string): void;
  /** A result by name; the last one of a name counts. */
  output(key: string, value: Value): void;
  /** A file (by its path) or bytes as an artifact of this task. */
  artifact(name: string, content: string | Uint8Array): Promise<void>;
  /** An artifact of another task as one of this, by reference: nothing is copied. */
  link(name: string, artifact: ArtifactRef): void;
}

/** Inside navvy the agent reads what the task writes. */
export function reportToAgent(): Report {
  return {
    scalar: (key, value, options) => task.scalar(key, value, options),
    progress: (n, of, unit) => task.progress(n, of, unit),
    note: (level, text) => task.note(level, text),
    output: (key, value) => task.output(key, value),
    artifact: async (name, content) => void (await task.artifact(name, content)),
    link: (name, { name: _name, attempt: _attempt, uploadedAt: _uploadedAt, ...ref }) => task.link(name, ref),
  };
}
