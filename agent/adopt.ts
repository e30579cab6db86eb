import { readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { type Claim, isAlive, Leadership, sessionsBucket, snapshot } from "../broker/index.js";
import { isNavvyError, NavvyError, type Outcome, type Owner } from "../protocol/index.js";
import type { JournalStart } from "./host/journal.js";
import type { AgentInnards } from "./innards.js";
import { patiently } from "./patiently.js";
import type { ProcessEnd, TreeState } from "./runners/runner.js";
import { Attempt, type AttemptParts } from "./task/attempt.js";
import type { Leftover } from "./task/leftover.js";
import { setupOutcome } from "./task/outcome.js";

/**
 * Takes up what an earlier run of this agent left running, under the first session of this one. What is no longer this
 * agent's (superseded, ended, deleted) is killed and cleaned up; then the earlier session is given up, so that whatever was
 * claimed under it and is not here goes back to its queue.
 *
 * The record decides: an attempt is adopted by a compare-and-set on it, and the lease does not cover what runs before that.
 */
export async function adoptLeftovers(
  parts: AgentInnards,
  owner: Owner,
  { attemptParts, run }: { attemptParts: AttemptParts; run: (attempt: Attempt) => void },
): Promise<void> {
  const { journal, spawner } = parts;
  const trees = new Map(spawner.adopted.map((tree) => [tree.key, tree]));
  const left = [...journal.live.values()];
  const known = new Set(left.map((start) => start.key));
  await Promise.all(
    left.map(async (start) => {
      const fate = await findFate(parts, start, trees.get(start.key));
      const claim = await patiently(() => claimOf(parts, start, owner));
      if (!claim) return discard(parts, start);
      const slot = parts.slots.hold({ pool: start.pool, gpus: start.gpus });
      parts.config.log.info({ task: claim.id, attempt: claim.attempt }, "an earlier run's attempt was adopted");
      run(await Attempt.adopted(attemptParts, claim, { start, slot, fate }));
    }),
  );
  for (const key of trees.keys()) if (!known.has(key)) await spawner.kill(key).then(() => spawner.release(key));
  await releaseDeadSessions(parts);
}

/** How it ends, ended, or why it never ran. What nobody watches any more is killed first: its end could not be told. */
async function findFate(parts: AgentInnards, start: JournalStart, tree: TreeState | undefined): Promise<Leftover["fate"]> {
  const { spawner, journal } = parts;
  if (tree?.failure) {
    const { message, errno } = tree.failure;
    return { outcome: setupOutcome(new NavvyError("setup_failed", message, { detail: { errno } })) };
  }
  if (tree) return { exited: spawner.exited(start.key) };
  const isWatched = spawner.pid === journal.lastSpawner?.pid;
  if (isWatched) return { outcome: { kind: "given_back", reason: "its agent was started anew before the task was" } };
  await spawner.kill(start.key);
  const end = await readExitFile(start.exitFile);
  return end ? { exited: Promise.resolve(end) } : { outcome: LOST };
}

const LOST: Outcome = { kind: "lost", reason: "its agent and the process beside it that watched it were both gone" };

async function readExitFile(path: string): Promise<ProcessEnd | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as ProcessEnd;
  } catch {
    return undefined; // there is none, or a full disk kept half of it
  }
}

async function claimOf({ navvy, config }: AgentInnards, start: JournalStart, owner: Owner): Promise<Claim | undefined> {
  const record = await navvy.tasks.get(start.task).catch((error: unknown) => {
    if (isNavvyError(error, "not_found")) return undefined;
    throw error;
  });
  if (record?.owner?.agent !== config.name) return undefined;
  return navvy.tasks.claims.adopt({ id: record.id, attempt: start.attempt, session: record.owner.session }, owner);
}

async function discard({ config, spawner, journal }: AgentInnards, start: JournalStart): Promise<void> {
  config.log.warn({ task: start.task, attempt: start.attempt }, "left over by an earlier run and no longer ours: killed and cleaned up");
  await spawner.kill(start.key);
  await rm(start.dir, { recursive: true, force: true });
  await journal.append({ op: "end", key: start.key, at: new Date().toISOString() });
  spawner.release(start.key);
}

/** The earlier run's session by its journal, and others of this name whose process on this host is gone. */
async function releaseDeadSessions({ navvy, config, journal }: AgentInnards): Promise<void> {
  const bucket = sessionsBucket(navvy.bus);
  const leadership = new Leadership(navvy.bus, config.leaseMs);
  const entries = (await patiently(() => snapshot(navvy.bus, bucket, { keys: `${config.name}.*` }))) ?? [];
  for (const { key, value, revision } of entries) {
    const isOwn = value.session === journal.lastSession?.session;
    if (!isOwn && (value.host !== hostname() || isAlive(value.pid))) continue;
    config.log.warn({ session: value.session }, "an earlier run's session was still there: given up");
    await patiently(() => bucket.delete(key, revision));
    await patiently(() => leadership.vacate(value.session));
  }
}
