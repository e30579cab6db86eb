import { join } from "node:path";
import type { Claim, Navvy, Session } from "../broker/index.js";
import { beatView } from "./beat-view.js";
import type { AgentConfig } from "./config.js";
import { Coordinator } from "./coordinator/coordinator.js";
import { BundleCache } from "./host/bundle-cache.js";
import type { Journal } from "./host/journal.js";
import type { Machine } from "./host/machine.js";
import type { SpawnerClient } from "./host/spawner-client.js";
import { BeatLoop } from "./loops/beat.js";
import { ClaimLoop } from "./loops/claim.js";
import { Lanes } from "./loops/lanes.js";
import { LeaseLoop } from "./loops/lease.js";
import { register } from "./register.js";
import { processRunner } from "./runners/process.js";
import type { Running } from "./running.js";
import type { Slot, Slots } from "./slots.js";
import { Attempt, type AttemptParts } from "./task/attempt.js";

/** Everything an agent is made of, open. */
export interface AgentInnards {
  config: AgentConfig;
  navvy: Navvy;
  machine: Machine;
  spawner: SpawnerClient;
  journal: Journal;
  running: Running;
  slots: Slots;
  lease: LeaseLoop;
  claims: ClaimLoop;
  lanes: Lanes;
  beats: BeatLoop;
  coordinator: Coordinator;
  /** Attempts that ended here and whose end could not be recorded. */
  unsettled: Set<Claim>;
  /** Told to leave at once: what is claimed from here on goes straight back. */
  isLeavingNow: () => boolean;
  /** Why nothing is claimed right now; undefined while work is taken. */
  holdReason: () => string | undefined;
}

/** Opens what turns by itself: lease first, then what works under it. */
export async function startLoops(parts: AgentInnards): Promise<void> {
  const { config, navvy, machine, running, slots, spawner, journal } = parts;
  parts.lease = await LeaseLoop.start({
    bus: navvy.bus,
    config,
    armFreeze: (freezeInMs) => spawner.lease(freezeInMs),
    onRevoked: () => revokeAll(running),
    onRenewed: async () => {
      parts.claims?.refresh();
      await readWishes(parts);
      await loseUnsettled(parts);
    },
    onSession: (session) => beginSession(parts, session),
  });
  const attemptParts: AttemptParts = {
    config,
    navvy,
    runner: processRunner(spawner),
    journal,
    bundles: new BundleCache({ dir: join(config.folder, "bundles"), fetch: (sha256, file) => navvy.objects.getToFile(sha256, file) }),
    isLeaseFresh: (owner) => parts.lease.isFresh && parts.lease.session.owner.session === owner.session,
  };
  const onClaim = (claim: Claim, slot: Slot) => {
    runAttempt(parts, new Attempt(attemptParts, claim, slot)).catch((error: unknown) =>
      config.log.error({ err: error, task: claim.id }, "an attempt broke"),
    );
  };
  let freeDiskBytes = Number.POSITIVE_INFINITY;
  const mayClaim = () => parts.holdReason() === undefined && parts.lease.isFresh && freeDiskBytes > config.minFreeDiskBytes;
  parts.lanes = await Lanes.open(navvy, { served: config.serves, onChange: () => parts.claims?.kick(), log: config.log });
  parts.claims = new ClaimLoop({
    navvy,
    config,
    slots,
    lanes: parts.lanes,
    owner: () => parts.lease.session.owner,
    mayClaim,
    isHeld: (id) => running.has(id),
    onClaim,
  });
  parts.coordinator = new Coordinator({ navvy, log: config.log, leaseMs: config.leaseMs, owner: () => parts.lease.session.owner });
  const diskReason = () =>
    freeDiskBytes <= config.minFreeDiskBytes ? `only ${Math.round(freeDiskBytes / 2 ** 20)} MiB of disk free` : undefined;
  parts.beats = new BeatLoop({
    navvy,
    machine,
    log: config.log,
    view: () => beatView(parts, parts.holdReason() ?? diskReason()),
    onSample: (sample) => {
      freeDiskBytes = sample.disk.totalBytes > 0 ? sample.disk.freeBytes : Number.POSITIVE_INFINITY;
      parts.claims.refresh();
    },
  });
}

/** One attempt from claim to free slot. */
async function runAttempt(parts: AgentInnards, attempt: Attempt): Promise<void> {
  parts.running.add(attempt);
  if (parts.isLeavingNow()) attempt.giveBack(`agent ${parts.config.name} was told to leave at once`);
  try {
    if (!(await attempt.run())) parts.unsettled.add(attempt.claim);
  } finally {
    parts.running.remove(attempt);
    parts.slots.free(attempt.slot);
    parts.claims.kick();
  }
}

/** What ended here without its end on the record must not stay running under a session that lives: it is given up as lost. */
async function loseUnsettled({ unsettled, navvy, config }: AgentInnards): Promise<void> {
  for (const claim of unsettled) {
    const lost = await navvy.tasks.claims.lose(claim.id, claim.owner, `its end could not be recorded by ${config.name}`);
    if (lost) config.log.warn({ task: claim.id, status: lost.status }, "a task whose end could not be recorded was given up");
    unsettled.delete(claim);
  }
}

async function beginSession(parts: AgentInnards, session: Session): Promise<void> {
  const { journal, navvy, config, machine } = parts;
  await journal.append({ op: "session", session: session.owner.session, revision: session.revision, at: new Date().toISOString() });
  await register({ navvy, config, machine, session: session.owner.session });
  parts.claims?.kick();
}

async function revokeAll(running: Running): Promise<void> {
  for (const attempt of running.all()) attempt.revoke("the session's lease was revoked");
  await running.idle();
}

/** Wishes that were not delivered: read at every renewal. */
async function readWishes({ running, navvy }: AgentInnards): Promise<void> {
  await Promise.all(
    running.all().map(async (attempt) => {
      const record = await navvy.tasks.claims.look(attempt.claim);
      if (record === undefined) attempt.revoke("a newer attempt took over");
      else if (record.abort) attempt.abort(record.abort.reason, record.abort.graceMs);
    }),
  );
}
