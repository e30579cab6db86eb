import { mkdir } from "node:fs/promises";
import { join, sep } from "node:path";
import type { Objects } from "../../broker/index.js";
import { type AttemptFacts, type Container, isNavvyError, NavvyError, type TaskRecord } from "../../protocol/index.js";
import type { BundleCache } from "../host/bundle-cache.js";
import type { Repositories } from "../host/repositories.js";
import type { Engines } from "../runners/engines.js";
import type { Mount } from "../runners/runner.js";
import { type ContainerRules, checkContainer } from "./container-rules.js";
import { type AttemptFolder, makeFolder } from "./folder.js";
import type { Image, Images } from "./image.js";
import type { SetupLog } from "./setup-log.js";

/** What it takes to lay out an attempt's files. */
export interface Layout {
  bundles: BundleCache;
  repositories: Repositories;
  objects: Objects;
  /** Gets what the preparations print; a silent one leaves it alone. */
  setupLog: SetupLog;
  /** Cuts downloads short. */
  signal?: AbortSignal;
  /** Told what is found out about the attempt; `atOnce`: a later attempt depends on it. */
  learn: (facts: AttemptFacts, options?: { atOnce?: boolean }) => void;
}

export interface Preparation extends Layout {
  engines: Engines;
  images: Images;
  containerRules: ContainerRules;
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
}

/**
 * Makes everything ready that an attempt's process needs.
 * @throws NavvyError setup_failed (the task's fault), disk_full and engine_unreachable (the machine's), and what the broker says
 */
export async function prepare(parts: Preparation, record: TaskRecord, folder: AttemptFolder): Promise<Prepared> {
  const { container } = record.spec;
  // What may not be asked for is refused before anything is fetched for it.
  const mounts = container ? await checkContainer(container, parts.containerRules) : [];
  const cwd = await layOut(parts, record, folder);
  return { cwd, env: {}, path: [], mounts, ...(container ? { image: await fetchImage(parts, container) } : {}) };
}

/**
 * Lays out an attempt's folder: parameters, code, inputs. @returns the working directory
 * @throws NavvyError setup_failed (the task's fault), disk_full (the machine's), and what the broker says
 */
export async function layOut(parts: Layout, record: TaskRecord, folder: AttemptFolder): Promise<string> {
  const { bundles } = parts;
  try {
    await makeFolder(folder, record);
    if (record.spec.code) await bundles.materialize(record.spec.code, folder.work);
    await checkOut(parts, record, folder);
    await fetchInputs(parts, record, folder);
    return workingDirectory(record, folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC")
      throw new NavvyError("disk_full", `no room left for task ${record.id} in ${folder.root}`, { cause: error });
    throw error;
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

async function fetchInputs({ objects, signal }: Layout, record: TaskRecord, folder: AttemptFolder): Promise<void> {
  const inputs = Object.entries(record.spec.inputs);
  if (inputs.length === 0) return;
  await mkdir(folder.inputs, { recursive: true });
  for (const [name, input] of inputs) {
    try {
      await objects.getToFile(input.sha256, join(folder.inputs, inputName(name)), signal);
    } catch (error) {
      if (!isNavvyError(error, "not_found") && !isNavvyError(error, "corrupt")) throw error;
      throw new NavvyError("setup_failed", `input ${name} can not be fetched: ${error.message}`, { cause: error });
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
