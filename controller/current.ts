import type { Navvy } from "../broker/index.js";
import type { Outcome, Parameters, ParameterValue, TaskRecord } from "../protocol/index.js";
import { task } from "../task/index.js";
import { followEnding } from "./ending.js";
import { LocalRun } from "./local-run.js";
import type { InitOptions } from "./options.js";
import { parkWhenWaiting } from "./parking.js";
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
    followEnding((outcome) => abortChildren(navvy, id, { outcome, policy: options.onAbort }));
    // Whoever leads sees to that too, where this process can not: parked, killed, lost.
    if (options.onAbort !== undefined) task.childrenOnAbort(options.onAbort);
    if (options.parks) parkWhenWaiting(options.parkAfterMs);
    return { record, report: reportToAgent() };
  }
  const local = await LocalRun.start(navvy, {
    name: options.name,
    project: options.project ?? "default",
    type: options.type ?? "controller",
    tags: options.tags ?? [],
    parameters: inSections(options.parameters ?? {}),
    childrenOnAbort: options.onAbort,
  });
  followEnding(async (outcome) => {
    await abortChildren(navvy, local.record.id, { outcome, policy: options.onAbort });
    await local.settle(outcome);
  });
  return { record: local.record, report: local.report, local };
}

/**
 * When a person aborts a controller, and it is to be so: its children are to end too. A process that only has to go (its agent stops)
 * leaves them: its controller goes on elsewhere.
 */
async function abortChildren(navvy: Navvy, id: string, of: { outcome: Outcome; policy: InitOptions["onAbort"] }): Promise<void> {
  if (of.outcome.kind !== "aborted" || of.policy !== "abort") return;
  const own = await navvy.tasks.get(id);
  if (!own.abort && own.owner?.agent.startsWith("local-") !== true) return;
  const children = await navvy.tasks.list({ parent: id });
  const alive = children.filter(({ status }) => status === "queued" || status === "running");
  await Promise.all(
    alive.map((child) => navvy.tasks.abort(child.id, { reason: `its controller was aborted: ${own.abort?.reason ?? "by hand"}` })),
  );
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
