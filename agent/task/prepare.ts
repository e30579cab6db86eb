import { mkdir } from "node:fs/promises";
import { join, sep } from "node:path";
import { type Claim, parseStoreUrl } from "../../broker/index.js";
import { type AttemptFacts, type Container, isNavvyError, NavvyError, type TaskRecord } from "../../protocol/index.js";
import type { Api } from "../api/api.js";
import type { AgentConfig } from "../config.js";
import type { BundleCache } from "../host/bundle-cache.js";
import type { InputCache } from "../host/input-cache.js";
import type { Repositories } from "../host/repositories.js";
import type { Engines } from "../runners/engines.js";
import type { Mount } from "../runners/runner.js";
import type { Environments } from "../setup/environments.js";
import type { Programs } from "../setup/programs.js";
import { setUp } from "../setup/set-up.js";
import type { Slot } from "../slots.js";
import { whenCut } from "./attempt-parts.js";
import type { AttemptSecrets, Delivered } from "./attempt-secrets.js";
import { checkContainer } from "./container-rules.js";
import { type AttemptFolder, makeFolder } from "./folder.js";
import type { Image, Images } from "./image.js";
import { inputsOf } from "./input-words.js";
import { programOf } from "./program.js";
import { seenBy } from "./seen.js";
import type { SetupLog } from "./setup-log.js";
import { containerPlace } from "./setup-place.js";

/** What it takes to lay out an attempt's files. */
export interface Layout {
  bundles: BundleCache;
  repositories: Repositories;
  inputs: InputCache;
  /** Gets what the preparations print; a silent one leaves it alone. */
  setupLog: SetupLog;
  /** Cuts downloads short. */
  signal?: AbortSignal;
  /** Told what is found out about the attempt; `atOnce`: a later attempt depends on it. */
  learn: (facts: AttemptFacts, options?: { atOnce?: boolean }) => void;
}

export interface Preparation extends Layout {
  config: AgentConfig;
  slot: Slot;
  engines: Engines;
  images: Images;
  environments: Environments;
  api: Api;
  /** Runs those of the set-up. */
  programs: Programs;
  secrets: AttemptSecrets;
  signal: AbortSignal;
}

/** What the preparations have made ready for the process. */
export interface Prepared {
  /** Working directory. */
  cwd: string;
  /** Goes over the environment that every task gets, under what the task's own says. */
  env: Record<string, string>;
  /** Folders for the front of PATH. */
  path: string[];
  /** The container's image; absent: a plain process. */
  image?: Image;
  /** Folders and files of the host that its container gets beside the attempt's own. */
  mounts: Mount[];
  secrets?: Delivered | undefined;
}

/**
 * Prepares until it is done or cut short. A download that is cut short may take its time to notice: it is not waited for, and goes on
 * as `underway`. Programs of the set-up are: nothing of an attempt lives when its outcome is recorded.
 */
export function prepareUntilCut(
  parts: Preparation,
  claim: Claim,
  folder: AttemptFolder,
): { underway: Promise<unknown>; prepared: Promise<Prepared> } {
  const preparing = prepare(parts, claim, folder);
  const first = async () => {
    try {
      return await Promise.race([preparing, whenCut(parts.signal)]);
    } finally {
      await parts.programs.gone();
    }
  };
  return { underway: preparing.catch(() => undefined), prepared: first() };
}

/**
 * Makes everything ready that an attempt's process needs: its files, the image of its container, its environment.
 * @throws NavvyError setup_failed (the task's fault), disk_full and engine_unreachable (the machine's), and what the broker says
 */
async function prepare(parts: Preparation, claim: Claim, folder: AttemptFolder): Promise<Prepared> {
  const { record } = claim;
  const { container, setup } = record.spec;
  // What may not be asked for is refused before anything is fetched for it.
  const own = programOf(record.spec, inputsOf(record.spec, seenBy(record, folder).inputs)).env;
  checkStore(record);
  const mounts = container ? await checkContainer(container, parts.config.containers) : [];
  await parts.secrets.prepare();
  const cwd = await layOut(parts, record, folder);
  const image = container && (await fetchImage(parts, container));
  const bare: Prepared = { cwd, env: {}, path: [], mounts, ...(image ? { image } : {}) };
  const told = await parts.api.tell(claim, { folder, ...(image ? { engine: await parts.engines.require() } : {}) });
  if (!setup) return { ...bare, env: told.env, mounts: [...mounts, ...told.mounts], secrets: await parts.secrets.deliver() };
  if (image) parts.programs.place = containerPlace(parts, claim, { folder, prepared: { ...bare, image } });
  const made = await tellFull(folder, record, () => setUp(parts, { task: record.id, setup, folder, cwd, env: own }));
  const env = { ...told.env, ...made.env };
  const secrets = await parts.secrets.deliver();
  return { ...bare, env, path: made.path, mounts: [...mounts, ...told.mounts, ...(image ? made.mounts : [])], secrets };
}

/**
 * Lays out an attempt's folder: parameters, code, inputs. @returns the working directory
 * @throws NavvyError setup_failed (the task's fault), disk_full (the machine's), and what the broker says
 */
export async function layOut(parts: Layout, record: TaskRecord, folder: AttemptFolder): Promise<string> {
  return tellFull(folder, record, async () => {
    await makeFolder(folder, record);
    if (record.spec.code) await parts.bundles.materialize(record.spec.code, folder.work);
    await checkOut(parts, record, folder);
    await fetchInputs(parts, record, folder);
    return workingDirectory(record, folder);
  });
}

/** Where its artifacts can go is no matter for the time when they are there. @throws NavvyError setup_failed */
function checkStore({ spec }: TaskRecord): void {
  if (spec.artifactStore === undefined) return;
  try {
    parseStoreUrl(spec.artifactStore);
  } catch (error) {
    const { message, why, fix } = error as NavvyError;
    throw new NavvyError("setup_failed", message, { cause: error, ...(why ? { why } : {}), fix });
  }
}

/** A full disk is the machine's doing. */
async function tellFull<T>(folder: AttemptFolder, record: TaskRecord, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    throw new NavvyError("disk_full", `no room left for task ${record.id} in ${folder.root}`, { cause: error });
  }
}

async function fetchImage(parts: Preparation, container: Container): Promise<Image> {
  const engine = await parts.engines.require();
  const image = await parts.images.ready(container, { engine, setupLog: parts.setupLog, signal: parts.signal });
  const { reference, id, digest } = image;
  parts.learn({ image: { reference, id, ...(digest ? { digest } : {}) } });
  return image;
}

/** A branch is looked up once: what comes after the first attempt runs the same commit. */
async function checkOut({ repositories, setupLog, signal, learn }: Layout, record: TaskRecord, folder: AttemptFolder): Promise<void> {
  const { git } = record.spec;
  if (git === undefined) return;
  const earlier = record.attempts.find((each) => each.commit !== undefined)?.commit;
  const commit = await repositories.materialize(git, { into: folder.work, log: setupLog, signal, earlier });
  learn({ commit }, { atOnce: git.commit === undefined && earlier === undefined });
}

async function fetchInputs({ inputs: cache, signal }: Layout, record: TaskRecord, folder: AttemptFolder): Promise<void> {
  const inputs = Object.entries(record.spec.inputs);
  if (inputs.length === 0) return;
  await mkdir(folder.inputs, { recursive: true });
  for (const [name, input] of inputs) {
    try {
      await cache.materialize(input, join(folder.inputs, inputName(name)), signal);
    } catch (error) {
      if (!isNavvyError(error) || error.retryable) throw error;
      const { message, why, fix } = error;
      throw new NavvyError("setup_failed", `input ${name} can not be fetched: ${message}`, { cause: error, ...(why ? { why } : {}), fix });
    }
  }
}

/** Inputs lie side by side: a name with folders in it could leave the folder. */
function inputName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name)) return name;
  throw new NavvyError("setup_failed", `input name ${JSON.stringify(name)} is not acceptable`, {
    why: "an input's name is letters, digits, ., - and _",
  });
}

function workingDirectory(record: TaskRecord, folder: AttemptFolder): string {
  const directory = record.spec.directory;
  if (directory === undefined || directory === ".") return folder.work;
  const path = join(folder.work, directory);
  if (path.startsWith(`${folder.work}${sep}`)) return path;
  throw new NavvyError("setup_failed", `directory ${JSON.stringify(directory)} of task ${record.id} leaves its code`);
}
