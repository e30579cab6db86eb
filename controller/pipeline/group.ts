import type { Navvy } from "../../broker/index.js";
import { isEnded, isNavvyError, NavvyError, type ParameterValue, type TaskRecord } from "../../protocol/index.js";
import type { Graph } from "../graph/graph.js";
import { patiently } from "../patience.js";
import type { Report } from "../report.js";
import { untilEnded } from "../wait.js";

/** A run's turn in its group. */
export interface Turn {
  /** Gives it up. */
  end(): Promise<void>;
}

/**
 * Waits for a run's turn in its group: in the order in which they came, one at a time. Who stands in the line and has ended, or is
 * gone, is passed over, so a run that was lost keeps nobody waiting.
 * @throws NavvyError conflict: the group is taken, and the run is to be refused then
 */
export async function takeTurn(navvy: Navvy, own: { record: TaskRecord; report: Report }, graph: Graph): Promise<Turn> {
  const { group, onConflict } = graph.concurrency ?? { group: graph.name, onConflict: "queue" };
  const line = navvy.journals.of("groups");
  const { id } = own.record;
  const change = (to: (ids: string[]) => string[]) =>
    patiently(() => line.change(group, (value) => to(Array.isArray(value) ? value.map(String) : []) as ParameterValue));
  const end = () => leaveLine(navvy, group, id);
  await change((ids) => (ids.includes(id) ? ids : [...ids, id]));
  for (let isSaid = false; ; ) {
    const ids = (await patiently(() => line.get(group)))?.value as string[];
    const before = await firstAlive(navvy, ids.slice(0, ids.indexOf(id)));
    if (!before) {
      // Whoever was passed over has ended: should it run again, it comes last.
      await change((all) => all.slice(Math.max(0, all.indexOf(id))));
      return { end };
    }
    if (onConflict === "refuse") {
      await end();
      throw new NavvyError("conflict", `another run of group ${group} goes on: task ${before.id} (${before.name})`, {
        fix: `wait for it (navvy wait ${before.id.slice(-8)}), or concurrency.on_conflict: queue`,
      });
    }
    if (onConflict === "cancel_previous")
      await patiently(() => navvy.tasks.abort(before.id, { reason: `run ${id} takes its place` })).catch(() => undefined);
    if (!isSaid) own.report.note("info", `waits for its turn in group ${group}: task ${before.id} goes first`);
    isSaid = true;
    await untilEnded(navvy, before.id, {}).catch((error: unknown) => {
      if (!isNavvyError(error, "not_found")) throw error;
    });
  }
}

/** Takes a run out of its group's line. */
export async function leaveLine(navvy: Navvy, group: string, id: string): Promise<void> {
  const line = navvy.journals.of("groups");
  await patiently(() => line.change(group, (value) => (Array.isArray(value) ? value.filter((each) => each !== id) : [])));
}

async function firstAlive(navvy: Navvy, ids: string[]): Promise<TaskRecord | undefined> {
  for (const id of ids) {
    const record = (await patiently(() => navvy.tasks.bucket.get(id)))?.value;
    if (record && !isEnded(record.status) && record.status !== "draft") return record;
  }
  return undefined;
}
