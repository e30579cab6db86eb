import { readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { type Claim, isAlive, Leadership, sessionsBucket, snapshot } from "../broker/index.js";
import { isNavvyError, NavvyError, type Outcome, type Owner } from "../protocol/index.js";
import type { JournalStart } from "./host/journal.js";
import type { AgentInnards } from "./innards.js";
import { removeStrayContainers } from "./loops/containers.js";
import { patiently } from "./patiently.js";
import type { ProcessEnd, TreeState } from "./runners/runner.js";
import { setupKeyOf } from "./setup/programs.js";
import type { Slot } from "./slots.js";
import { Attempt, type AttemptParts } from "./task/attempt.js";
import type { Leftover } from "./task/leftover.js";
import { setupOutcome } from "./task/outcome.js";
import { tidyFolder } from "./tidy.js";

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
  const { journal, spawner, runner } = parts;
  const trees = new Map(spawner.adopted.map((tree) => [tree.key, tree]));
  const left = [...journal.live.values()];
  const known = new Set(left.map((start) => start.key));
  // Set-ups among them: what they were for may begin anew as soon as the first of these is given back.
  const unknown = [...trees.keys()].filter((key) => !known.has(key));
  await Promise.all(unknown.map((key) => runner.kill(key).then(() => runner.release(key))));
  await Promise.all(
    left.map(async (start) => {
      try {
        const attempt = await takeUp(parts, { start, owner, tree: trees.get(start.key), attemptParts });
        if (attempt) run(attempt);
        else await discard(parts, start, "no longer ours");
      } catch (error) {
        // One that can not be taken up keeps neither the others nor the agent from going on.
        parts.config.log.error({ err: error, task: start.task, attempt: start.attempt }, "what an earlier run left could not be adopted");
        await giveUp(parts, start, owner);
      }
    }),
  );
  await removeStrayContainers({ ...parts, log: parts.config.log });
  await tidyFolder(parts);
  await releaseDeadSessions(parts);
}

interface Found {
  start: JournalStart;
  owner: Owner;
  tree: TreeState | undefined;
  attemptParts: AttemptParts;
}

/** Undefined: it is not this agent's any more. */
async function takeUp(parts: AgentInnards, { start, owner, tree, attemptParts }: Found): Promise<Attempt | undefined> {
  const fate = await findFate(parts, start, tree);
  const claim = await patiently(() => claimOf(parts, start, owner));
  if (!claim) return undefined;
  const { pool, gpus, devices, reserved } = start;
  const slot: Slot = { pool, gpus, ...(devices ? { devices } : {}), ...(reserved ? { reserved } : {}) };
  const attempt = await Attempt.adopted(attemptParts, claim, { start, slot, fate });
  parts.slots.hold(slot, claim.id);
  parts.config.log.info({ task: claim.id, attempt: claim.attempt }, "an earlier run's attempt was adopted");
  return attempt;
}

/** Killed, and lost on its record where that names this agent still. */
async function giveUp(parts: AgentInnards, start: JournalStart, owner: Owner): Promise<void> {
  const { navvy, config } = parts;
  await discard(parts, start, "given up");
  try {
    const claim = await patiently(() => claimOf(parts, start, owner));
    if (claim) await patiently(() => navvy.tasks.claims.lose(claim.id, owner, "its agent was started anew and could not take it up"));
  } catch (error) {
    config.log.error({ err: error, task: start.task }, "it could not be given up on its record either");
  }
}

/** How it ends, ended, or why it never ran. What nobody watches any more is killed first: its end could not be told. */
async function findFate(parts: AgentInnards, start: JournalStart, tree: TreeState | undefined): Promise<Leftover["fate"]> {
  const { spawner, runner, journal } = parts;
  if (start.container && !tree?.failure) runner.recall(start.key);
  if (tree?.failure) {
    const { message, errno } = tree.failure;
    if (errno === NEVER_STARTED) return { outcome: NOT_YET };
    return { outcome: setupOutcome(new NavvyError("setup_failed", message, { detail: { errno } })) };
  }
  if (tree) return { exited: runner.exited(start.key) };
  const isWatched = spawner.pid === journal.lastSpawner?.pid;
  if (isWatched) return { outcome: NOT_YET };
  const end = await readExitFile(start.exitFile);
  const judged = end && (await runner.judge(start.key, end)); // before its container is removed
  await Promise.all([start.key, setupKeyOf(start.key)].map((key) => runner.kill(key)));
  return judged ? { exited: Promise.resolve(judged) } : { outcome: LOST };
}

/** What the spawner says of a start that it held back, for want of a lease, and dropped when its agent was gone. */
const NEVER_STARTED = "ECANCELED";
const NOT_YET: Outcome = { kind: "given_back", reason: "its agent was started anew before the task was" };
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

async function discard({ config, runner, journal }: AgentInnards, start: JournalStart, why: string): Promise<void> {
  config.log.warn({ task: start.task, attempt: start.attempt, why }, "left over by an earlier run: killed and cleaned up");
  if (start.container) runner.recall(start.key);
  await runner.kill(start.key);
  await rm(start.dir, { recursive: true, force: true }).catch((error: unknown) =>
    config.log.warn({ err: error, folder: start.dir }, "an attempt's folder could not be removed"),
  );
  await journal.append({ op: "end", key: start.key, at: new Date().toISOString() });
  runner.release(start.key);
}

/**
 * The earlier run's session by its journal: all that ran under it is accounted for. Another one of this name (of a forgotten
 * journal, another folder) may still have trees that run until its lease is over: it is left to the reaper.
 */
async function releaseDeadSessions({ navvy, config, journal }: AgentInnards): Promise<void> {
  const bucket = sessionsBucket(navvy.bus);
  const leadership = new Leadership(navvy.bus, config.leaseMs);
  const entries = (await patiently(() => snapshot(navvy.bus, bucket, { keys: `${config.name}.*` }))) ?? [];
  for (const { key, value, revision } of entries) {
    const isOwn = value.session === journal.lastSession?.session;
    if (!isOwn && (value.host !== hostname() || isAlive(value.pid))) continue;
    await patiently(() => leadership.vacate(value.session));
    if (!isOwn) continue;
    config.log.warn({ session: value.session }, "an earlier run's session was still there: given up");
    await patiently(() => bucket.delete(key, revision));
  }
}
