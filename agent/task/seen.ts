import { join } from "node:path";
import type { TaskRecord } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import type { Mount } from "../runners/runner.js";
import type { AttemptFolder } from "./folder.js";

/** Where a container finds the attempt's folder, in every container the same. */
export const INSIDE = "/navvy";

/** Where it finds what navvy lays down for its programs: a program in the work folder finds `navvy/task` there. */
export const LIBRARY_INSIDE = `${INSIDE}/node_modules/navvy`;

/** The paths of an attempt that its task is told. */
export type SeenFolder = Pick<
  AttemptFolder,
  "root" | "work" | "inputs" | "artifacts" | "params" | "events" | "output" | "summary" | "tensorboard" | "home"
>;

/** The attempt's folder as it is seen in a container. */
export const SEEN_INSIDE: SeenFolder = {
  root: INSIDE,
  work: `${INSIDE}/work`,
  inputs: `${INSIDE}/inputs`,
  artifacts: `${INSIDE}/artifacts`,
  params: `${INSIDE}/params.json`,
  events: `${INSIDE}/events.jsonl`,
  output: `${INSIDE}/output`,
  tensorboard: `${INSIDE}/tb`,
  summary: `${INSIDE}/summary.md`,
  home: `${INSIDE}/home`,
};

/** The attempt's folder as its task sees it. */
export function seenBy({ spec }: Pick<TaskRecord, "spec">, folder: AttemptFolder): SeenFolder {
  return spec.container ? SEEN_INSIDE : folder;
}

/**
 * What a container gets of the attempt's folder: what is the task's, and nothing of the agent's own accounts; and the library for
 * its programs.
 */
export function attemptMounts(folder: AttemptFolder, { hasInputs, library }: { hasInputs: boolean; library: string }): Mount[] {
  const of = (name: keyof SeenFolder, readOnly = false): Mount => ({ source: folder[name], target: SEEN_INSIDE[name], readOnly });
  return [
    ...[of("work"), of("artifacts"), of("home"), of("events"), of("output"), of("summary"), of("tensorboard")],
    of("params", true),
    ...(hasInputs ? [of("inputs", true)] : []),
    { source: library, target: LIBRARY_INSIDE, readOnly: true },
  ];
}

/** A path of the host in the container's terms; undefined: it is not to be seen there. */
export function toInside(folder: AttemptFolder, path: string): string | undefined {
  return path === folder.work || path.startsWith(`${folder.work}/`) ? `${SEEN_INSIDE.work}${path.slice(folder.work.length)}` : undefined;
}

/** A path as the task in a container names it, on the host; undefined: it lies outside of what is the task's. */
export function toHost(folder: AttemptFolder, path: string): string | undefined {
  for (const name of ["work", "artifacts", "home"] as const)
    if (path === SEEN_INSIDE[name] || path.startsWith(`${SEEN_INSIDE[name]}/`))
      return join(folder[name], path.slice(SEEN_INSIDE[name].length));
  return undefined;
}

/** Where the engine finds what this agent calls so: an agent in a container itself names other paths than its engine. */
export function enginePath(path: string, { workDir, hostWorkDir }: Pick<AgentConfig, "workDir" | "hostWorkDir">): string {
  if (hostWorkDir === undefined || (path !== workDir && !path.startsWith(`${workDir}/`))) return path;
  return join(hostWorkDir, path.slice(workDir.length));
}
