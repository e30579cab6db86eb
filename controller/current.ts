import type { Navvy } from "../broker/index.js";
import { type Parameters, type ParameterValue, type TaskRecord } from "../protocol/index.js";
import { task } from "../task/index.js";
import { followEnding } from "./ending.js";
import { LocalRun } from "./local-run.js";
import type { InitOptions } from "./options.js";
import { DEFAULT_PARK_AFTER_MS, parkWhenWaiting } from "./parking.js";
import { patiently } from "./patience.js";
import { type Report, reportToAgent } from "./report.js";

/** The task that this process is: given by an agent, or started by hand. */
export interface Current {
  record: TaskRecord;
  report: Report;
  /** Undefined inside navvy: there the agent settles. */
  local?: LocalRun;
}

/** Inside navvy the task exists already; by hand a record of its own is started. */
export async function startCurrent(navvy: Navvy, options: InitOptions): Promise<Current> {
  const { id } = task;
  if (id !== undefined) {
    const record = await patiently(() => navvy.tasks.get(id));
    followEnding(() => Promise.resolve());
    if (options.childrenOnAbort !== undefined) task.childrenOnAbort(options.childrenOnAbort);
    if (options.parks) parkWhenWaiting(options.parkAfterMs ?? DEFAULT_PARK_AFTER_MS);
    return { record, report: reportToAgent() };
  }
  const local = await LocalRun.start(navvy, {
    name: options.name,
    project: options.project ?? "default",
    type: options.type ?? "controller",
    tags: options.tags ?? [],
    parameters: inSections(options.parameters ?? {}),
    childrenOnAbort: options.childrenOnAbort,
  });
  followEnding((outcome) => local.settle(outcome));
  return { record: local.record, report: local.report, local };
}

function inSections(values: Record<string, ParameterValue>): Parameters {
  const parameters: Parameters = {};
  for (const [path, value] of Object.entries(values)) {
    const [section, name] = splitPath(path);
    parameters[section] = { ...parameters[section], [name]: value };
  }
  return parameters;
}

/** `Data/seed` → Data, seed; a bare name is in General. */
export function splitPath(path: string): [section: string, name: string] {
  const slash = path.indexOf("/");
  return slash < 0 ? ["General", path] : [path.slice(0, slash), path.slice(slash + 1)];
}
