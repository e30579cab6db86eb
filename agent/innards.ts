import { join } from "node:path";
import type { Claim, Navvy } from "../broker/index.js";
import type { Owner } from "../protocol/index.js";
import { adoptLeftovers } from "./adopt.js";
import { Api } from "./api/api.js";
import { beatView } from "./beat-view.js";
import type { AgentConfig } from "./config.js";
import { Coordinator } from "./coordinator/coordinator.js";
import { Floors } from "./floors.js";
import { BundleCache } from "./host/bundle-cache.js";
import type { GpuCare } from "./host/gpus/care.js";
import { InputCache, tidyInputs } from "./host/input-cache.js";
import type { Journal } from "./host/journal.js";
import type { Machine } from "./host/machine.js";
import { Repositories } from "./host/repositories.js";
import type { SpawnerClient } from "./host/spawner-client.js";
import { BeatLoop } from "./loops/beat.js";
import { ClaimLoop } from "./loops/claim.js";
import { CleanLoop } from "./loops/clean.js";
import { ContainersLoop } from "./loops/containers.js";
import { Lanes } from "./loops/lanes.js";
import { LeaseLoop } from "./loops/lease.js";
import { SpoolLoop } from "./loops/spool.js";
import { patiently } from "./patiently.js";
import { register } from "./register.js";
import type { Engines } from "./runners/engines.js";
import type { Runner } from "./runners/runner.js";
import type { Running } from "./running.js";
import type { Secrets } from "./secrets/secrets.js";
import { Environments } from "./setup/environments.js";
import type { Slots } from "./slots.js";
import { Attempt, type AttemptParts } from "./task/attempt.js";
import { Images } from "./task/image.js";
import { refuseSuccessor } from "./twin.js";

/** Everything an agent is made of, open. */
export interface AgentInnards {
  config: AgentConfig;
  navvy: Navvy;
  machine: Machine;
  spawner: SpawnerClient;
  engines: Engines;
  runner: Runner;
  secrets: Secrets;
  journal: Journal;
  running: Running;
  slots: Slots;
  keeper: GpuCare;
  lease: LeaseLoop;
  claims: ClaimLoop;
  lanes: Lanes;
  beats: BeatLoop;
  spool: SpoolLoop;
  containers: ContainersLoop;
  environments: Environments;
  /** What tasks may ask of the agent. */
  api: Api;
  inputs: InputCache;
  cleaner: CleanLoop;
  coordinator: Coordinator;
  /** Attempts that ended here and whose end could not be recorded. */
  unsettled: Set<Claim>;
  /** Told to leave at once: what is claimed from here on goes straight back. */
  isLeavingNow: () => boolean;
  /** Why nothing is claimed right now; undefined while work is taken. */
  holdReason: () => string | undefined;
  /** The lease can not be kept any more. */
  onBroken: (error: Error) => void;
}

/** Opens what turns by itself: lease first, then what works under it. */
export async function startLoops(parts: AgentInnards): Promise<void> {
  const { config, navvy, machine, running, slots } = parts;
  parts.environments = new Environments({
    ...{ dir: join(config.folder, "environments"), attempts: join(config.folder, "attempts"), log: config.log },
    onMade: () => parts.cleaner?.soon(),
  });
  parts.api = await Api.open({ config, navvy });
  parts.inputs = await openInputs(parts);
  const attemptParts = attemptPartsOf(parts);
  parts.spawner.on("ending", (key, by) => running.byKey(key)?.ending(by));
  parts.lease = await startLease(parts, attemptParts);
  parts.spool = new SpoolLoop({ running, runner: attemptParts.runner, config });
  parts.containers = new ContainersLoop({ ...parts, log: config.log });
  parts.engines.onChange(() => void registerAnew(parts));
  parts.secrets.onChange(() => void (parts.claims && registerAnew(parts)));
  parts.cleaner = new CleanLoop({ config, environments: parts.environments, inputs: parts.inputs });
  const floors = new Floors(config);
  parts.lanes = await Lanes.open(navvy, { served: config.serves, onChange: (lanes) => parts.claims?.lanesChanged(lanes), log: config.log });
  parts.claims = new ClaimLoop({
    navvy,
    config,
    slots,
    lanes: parts.lanes,
    owner: () => parts.lease.owner,
    mayClaim: () => parts.holdReason() === undefined && parts.lease.isFresh && floors.reason === undefined,
    isHeld: (id) => running.has(id),
    onClaim: (claim, slot) => runAttempt(parts, Attempt.claimed(attemptParts, claim, slot)),
  });
  parts.coordinator = new Coordinator({ navvy, log: config.log, leaseMs: config.leaseMs, owner: () => parts.lease.owner });
  parts.beats = new BeatLoop({
    navvy,
    machine,
    log: config.log,
    view: () => beatView(parts, { hold: parts.holdReason() ?? floors.reason, trouble: navvy.bus.trouble.reason }),
    gpuView: (gpu) => slots.viewOf(gpu),
    onSample: (sample) => {
      floors.take(sample);
      parts.cleaner.take(sample);
      slots.see({ diskFreeBytes: sample.disk.freeBytes });
      parts.claims.refresh();
    },
  });
}

/** Ends what was begun when something else could not be: what runs is left to the next start. */
export async function haltLoops(parts: Partial<AgentInnards>): Promise<void> {
  parts.spool?.stop();
  void parts.api?.close({ isLast: false });
  void parts.containers?.stop();
  void parts.cleaner?.stop();
  parts.keeper?.stop();
  parts.beats?.stop();
  parts.lanes?.close();
  parts.secrets?.close();
  void parts.coordinator?.stop();
  void parts.claims?.stop();
  await Promise.all(parts.running?.all().map((attempt) => attempt.leave()) ?? []);
  await parts.lease?.stop({ release: false, limitMs: 0 });
  await parts.spawner?.detach();
}

async function openInputs(parts: AgentInnards): Promise<InputCache> {
  const dir = join(parts.config.folder, "inputs");
  await tidyInputs(dir);
  return new InputCache({
    dir,
    maxBytes: parts.config.maxInputsBytes,
    fetch: (ref, path, signal) => parts.navvy.artifacts.fetch(ref, path, signal),
    onKept: () => parts.cleaner?.soon(),
  });
}

function attemptPartsOf(parts: AgentInnards): AttemptParts {
  const { config, navvy, engines, runner, journal, environments, api, inputs, secrets } = parts;
  return {
    config,
    inputs,
    secrets,
    navvy,
    environments,
    api,
    runner,
    journal,
    engines,
    images: new Images(),
    bundles: new BundleCache({ dir: join(config.folder, "bundles"), fetch: (sha256, file) => navvy.objects.getToFile(sha256, file) }),
    repositories: new Repositories({
      dir: join(config.folder, "git"),
      maxBytes: config.gitCacheBytes,
      limitMs: config.gitLimitMs,
      inherited: process.env,
      fetch: (sha256, file, signal) => navvy.objects.getToFile(sha256, file, signal),
    }),
    gpus: () => parts.machine.gpus(),
    isLeaseFresh: (owner) => parts.lease.isFresh && parts.lease.owner.session === owner.session,
  };
}

/** Resolves when the first session stands and what an earlier run left is taken up or cleaned up. */
function startLease(parts: AgentInnards, attemptParts: AttemptParts): Promise<LeaseLoop> {
  const { config, spawner, running } = parts;
  let isFirst = true;
  return LeaseLoop.start({
    config,
    spawnerSocket: spawner.socketPath,
    onBroken: (error) => parts.onBroken(error),
    onRevoked: () => revokeAll(running),
    onRenewed: async () => {
      parts.claims?.refresh();
      await readWishes(parts);
      await loseUnsettled(parts);
    },
    onSession: async ({ owner, revision }) => {
      await parts.journal.append({ op: "session", session: owner.session, revision, at: new Date().toISOString() });
      if (isFirst) {
        await adoptLeftovers(parts, owner, { attemptParts, run: (attempt) => runAttempt(parts, attempt) });
        await parts.keeper.settled();
      } else await goOn(parts, owner);
      isFirst = false;
      await patiently(() => register({ ...parts, session: owner.session }));
      parts.claims?.kick();
    },
  });
}

/** What this agent offers has changed. */
async function registerAnew(parts: AgentInnards): Promise<void> {
  parts.claims.refresh();
  parts.claims.kick();
  await patiently(() => register({ ...parts, session: parts.lease.owner.session }));
}

/** One attempt from claim, or adoption, to free slot. */
function runAttempt(parts: AgentInnards, attempt: Attempt): void {
  parts.running.add(attempt);
  if (parts.isLeavingNow()) attempt.giveBack(`agent ${parts.config.name} was told to leave at once`);
  attempt
    .run()
    .then((isKnown) => {
      if (!isKnown) parts.unsettled.add(attempt.claim);
    })
    .catch((error: unknown) => parts.config.log.error({ err: error, task: attempt.claim.id }, "an attempt broke"))
    .finally(() => {
      parts.running.remove(attempt);
      if (parts.config.clean !== "always") parts.cleaner?.soon();
      parts.slots.free(attempt.slot);
      parts.claims?.kick();
    });
}

/** What ended here without its end on the record must not stay running under a session that lives: it is given up as lost. */
async function loseUnsettled({ unsettled, navvy, config }: AgentInnards): Promise<void> {
  for (const claim of unsettled) {
    const lost = await navvy.tasks.claims.lose(claim.id, claim.owner, `its end could not be recorded by ${config.name}`);
    if (lost) config.log.warn({ task: claim.id, status: lost.status }, "a task whose end could not be recorded was given up");
    unsettled.delete(claim);
  }
}

/** After a revocation: what runs on without a lease comes under the new one, unless another agent is this one by now. */
async function goOn(parts: AgentInnards, owner: Owner): Promise<void> {
  const { navvy, config, running } = parts;
  await refuseSuccessor(navvy, config, owner.session).catch((error: Error) => parts.onBroken(error));
  await Promise.all(running.all().map((attempt) => patiently(() => attempt.goOn(owner))));
}

/** What is to run on without a lease does, or goes back where it has no process yet; everything else is gone when this resolves. */
async function revokeAll(running: Running): Promise<void> {
  const going = running.all().filter((attempt) => !attempt.runsOn);
  for (const attempt of running.all())
    if (attempt.runsOn && attempt.isUnstarted) attempt.giveBack("the session's lease was revoked before it started");
  for (const attempt of going) attempt.revoke("the session's lease was revoked");
  await Promise.all(going.map((attempt) => attempt.ended));
}

/** Wishes that were not delivered: read at every renewal. */
async function readWishes({ running, navvy }: AgentInnards): Promise<void> {
  await Promise.all(
    running.all().map(async (attempt) => {
      const record = await navvy.tasks.claims.look(attempt.claim);
      if (record === undefined) attempt.revoke("a newer attempt took over", { isOver: true });
      else if (record.abort) attempt.abort(record.abort.reason, record.abort.graceMs);
    }),
  );
}
