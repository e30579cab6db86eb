import { NavvyError, type TaskRecord } from "../../protocol/index.js";
import type { Bus } from "../bus.js";
import { sessionKey, sessionsBucket } from "../session.js";
import type { Claims } from "./claims.js";
import { notRunning } from "./refusals.js";

/**
 * Gives up a running task whose agent is gone, at a person's word: what the reaper does by itself unless the task runs on
 * without a lease. @throws NavvyError illegal_move while its session is there, or it does not run; conflict
 */
export async function loseTask(parts: { bus: Bus; claims: Claims }, task: TaskRecord, reason?: string): Promise<TaskRecord> {
  const { owner } = task;
  if (task.status !== "running" || !owner) throw notRunning(task);
  if (await sessionsBucket(parts.bus).get(sessionKey(owner))) throw stillHeld(task.id, owner.agent);
  const said = `given up by ${parts.bus.actor}${reason === undefined ? "" : `: ${reason}`}`;
  const lost = await parts.claims.lose(task.id, owner, said);
  if (lost) return lost;
  throw new NavvyError("conflict", `task ${task.id} changed meanwhile: its agent is back, or someone else gave it up`, {
    fix: `navvy task show ${task.id.slice(-8)}`,
  });
}

function stillHeld(id: string, agent: string): NavvyError {
  return new NavvyError("illegal_move", `task ${id} is held by a session of agent ${agent}, so it is not lost`, {
    why: "a session that is silent for 1.2 leases is taken away by itself; only what runs on without one is for a person to judge",
    fix: [`navvy agent show ${agent}`, `end it instead: navvy task abort ${id.slice(-8)}`],
  });
}
