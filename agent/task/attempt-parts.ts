import type { Claim, Navvy } from "../../broker/index.js";
import type { Beat, Gpu, Owner, Phase, Reported } from "../../protocol/index.js";
import type { Api, OpenAttempt } from "../api/api.js";
import type { AgentConfig } from "../config.js";
import type { BundleCache } from "../host/bundle-cache.js";
import type { InputCache } from "../host/input-cache.js";
import type { Journal, JournalStart } from "../host/journal.js";
import type { Repositories } from "../host/repositories.js";
import type { Engines } from "../runners/engines.js";
import type { Runner } from "../runners/runner.js";
import type { Secrets } from "../secrets/secrets.js";
import type { Environments } from "../setup/environments.js";
import { Programs, setupKeyOf } from "../setup/programs.js";
import type { Slot } from "../slots.js";
import { tensorboard } from "../tensorboard/companion.js";
import { ArtifactUploads } from "./artifact-uploads.js";
import { AttemptSecrets } from "./attempt-secrets.js";
import { type Companion, Companions } from "./companions.js";
import { Control } from "./control.js";
import { type AttemptFolder, attemptFolder } from "./folder.js";
import type { Images } from "./image.js";
import { keyOf } from "./key.js";
import type { LogShipperParts } from "./log-shipper.js";
import type { ReportsParts } from "./reports.js";
import { SetupLog } from "./setup-log.js";
import { setupPlaceOf } from "./setup-place.js";
import { TaskUsage } from "./usage.js";

/** What every attempt of an agent works with. */
export interface AttemptParts {
  config: AgentConfig;
  navvy: Navvy;
  runner: Runner;
  journal: Journal;
  bundles: BundleCache;
  inputs: InputCache;
  engines: Engines;
  images: Images;
  repositories: Repositories;
  environments: Environments;
  /** What tasks may ask of the agent. */
  api: Api;
  secrets: Secrets;
  /** The machine's GPUs with their figures as last measured. */
  gpus: () => Gpu[];
  /** Whether the lease is young enough to start a process under it. */
  isLeaseFresh: (owner: Owner) => boolean;
}

/** What ships an attempt's log and takes in its reports, and the two ways to cut them short. */
export interface Plumbing extends LogShipperParts, ReportsParts {
  folder: AttemptFolder;
  /** Those of the set-up. */
  programs: Programs;
  /** What goes along with the process. */
  companions: Companions;
  /** What the process may ask: whether it is to end. */
  control: Control;
  secrets: AttemptSecrets;
  /** Fires when the lease is revoked: nothing may be published or recorded any more. */
  revoked: AbortController;
  /** Fires when what is under way before or after the process need not go on. */
  cut: AbortController;
}

export function plumbing(parts: AttemptParts, claim: Claim, slot: Slot): Plumbing {
  const pipes = plumb(parts, { claim, slot }, new SetupLog(folderOf(parts.config, claim)));
  pipes.control.knowsOfAbort = claim.record.abort !== undefined;
  return pipes;
}

/** For an attempt that an earlier run of the agent began. */
export async function resumedPlumbing(parts: AttemptParts, claim: Claim, slot: Slot): Promise<Plumbing> {
  const pipes = plumb(parts, { claim, slot }, await SetupLog.resume(folderOf(parts.config, claim)));
  await pipes.secrets.resume();
  return pipes;
}

function folderOf(config: AgentConfig, claim: Claim): AttemptFolder {
  return attemptFolder(config.folder, keyOf(claim), claim.record);
}

function plumb(parts: AttemptParts, { claim, slot }: { claim: Claim; slot: Slot }, setupLog: SetupLog): Plumbing {
  const { config, navvy, runner } = parts;
  const folder = folderOf(config, claim);
  const [revoked, cut] = [new AbortController(), new AbortController()];
  const secrets = new AttemptSecrets({ config, secrets: parts.secrets, record: claim.record, key: keyOf(claim), folder });
  const store = claim.record.spec.artifactStore ?? config.artifactStore;
  const uploads = new ArtifactUploads(() => navvy.artifacts.stores.at(store), {
    attempt: claim.attempt,
    signal: AbortSignal.any([revoked.signal, cut.signal]),
    store,
    memory: folder.wholeFolders,
    clean: secrets.clean,
  });
  const target = { id: claim.id, attempt: claim.attempt };
  const isContained = claim.record.spec.container !== undefined;
  setupLog.clean = secrets.clean;
  const place = setupPlaceOf(config, claim, { slot, folder });
  const programs = new Programs({ runner, key: setupKeyOf(keyOf(claim)), place, redacted: (spec) => secrets.through(spec) });
  const isController = slot.pool === "service" && config.allowControllers;
  const control = new Control();
  const companions = new Companions(companionsOf(parts, { claim, slot, folder, isContained, isController, control }), (err, name) =>
    config.log.warn({ err, task: claim.id, companion: name }, "a companion of the attempt failed"),
  );
  const common = {
    folder,
    target,
    isContained,
    setupLog,
    programs,
    companions,
    control,
    secrets,
    uploads,
    signal: revoked.signal,
    revoked,
    cut,
  };
  const logLimitBytes = claim.record.spec.logLimitBytes ?? config.logLimitBytes;
  return { ...common, logs: navvy.logs, metrics: navvy.metrics, objects: navvy.objects, logLimitBytes, log: config.log };
}

/** What goes along with an attempt's process. A task says itself that its event files are not to be read. */
function companionsOf(parts: AttemptParts, of: OpenAttempt & { slot: Slot }): Companion[] {
  const { runner, gpus, api } = parts;
  const { claim, slot, folder } = of;
  const held = () => (slot.gpus.length === 0 ? [] : gpus().filter(({ index }) => slot.gpus.includes(index)));
  const all = [api.companionOf(of), new TaskUsage({ runner, claim, folder, gpus: held })];
  return claim.record.spec.env.NAVVY_TB === "off" ? all : [...all, tensorboard(folder)];
}

/** What the host journal keeps of an attempt that is about to run. */
export function journalStart({ id, attempt, owner, record }: Claim, slot: Slot, folder: AttemptFolder): JournalStart {
  const { root, stdout, stderr, exitFile } = folder;
  const at = new Date().toISOString();
  const key = keyOf({ id, attempt });
  const inContainer = record.spec.container ? { container: true } : {};
  return { op: "start", key, stdout, stderr, exitFile, task: id, attempt, session: owner.session, dir: root, ...slot, at, ...inContainer };
}

/** What a beat says of an attempt. */
export function runningView(
  { record, attempt }: Claim,
  slot: Slot,
  { phase, since, progress }: { phase: Phase; since: string; progress: Reported["progress"] },
): Beat["running"][number] {
  return {
    id: record.id,
    name: record.name,
    attempt,
    queue: record.queue ?? "",
    phase,
    since,
    ...(progress?.of ? { progress: progress.n / progress.of } : {}),
    ...(slot.pool === "service" ? { service: true } : {}),
  };
}

/** Rejects once the signal fires. */
export function whenCut(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(new Error("cut short"));
    signal.addEventListener("abort", () => reject(new Error("cut short")), { once: true });
  });
}
