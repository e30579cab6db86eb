import { mkdir } from "node:fs/promises";
import { join, sep } from "node:path";
import type { Objects } from "../../broker/index.js";
import { isNavvyError, NavvyError, type TaskRecord } from "../../protocol/index.js";
import type { BundleCache } from "../host/bundle-cache.js";
import type { Environments } from "../setup/environments.js";
import type { Programs } from "../setup/programs.js";
import { setUp } from "../setup/set-up.js";
import { whenCut } from "./attempt-parts.js";
import { type AttemptFolder, makeFolder } from "./folder.js";
import type { SetupLog } from "./setup-log.js";

export interface Preparation {
  bundles: BundleCache;
  environments: Environments;
  /** Runs those of the set-up. */
  programs: Programs;
  objects: Objects;
  /** Gets what the preparations print; a silent one leaves it alone. */
  setupLog: SetupLog;
  /** Cuts downloads short. */
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
}

/**
 * Prepares until it is done or cut short. A download that is cut short may take its time to notice: it is not waited for, and goes on
 * as `underway`. Programs of the set-up are: nothing of an attempt lives when its outcome is recorded.
 */
export function prepareUntilCut(
  parts: Preparation,
  record: TaskRecord,
  folder: AttemptFolder,
): { underway: Promise<unknown>; prepared: Promise<Prepared> } {
  const preparing = prepare(parts, record, folder);
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
 * Lays out an attempt's folder: parameters, code, inputs; then makes its environment ready.
 * @throws NavvyError setup_failed (the task's fault), disk_full (the machine's), and what the broker says
 */
async function prepare(parts: Preparation, record: TaskRecord, folder: AttemptFolder): Promise<Prepared> {
  const { bundles } = parts;
  try {
    await makeFolder(folder, record);
    if (record.spec.code) await bundles.materialize(record.spec.code, folder.work);
    await fetchInputs(parts, record, folder);
    const cwd = workingDirectory(record, folder);
    const { setup, env } = record.spec;
    if (!setup) return { cwd, env: {}, path: [] };
    return { cwd, ...(await setUp(parts, { task: record.id, setup, folder, cwd, env })) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC")
      throw new NavvyError("disk_full", `no room left for task ${record.id} in ${folder.root}`, { cause: error });
    throw error;
  }
}

async function fetchInputs({ objects, signal }: Preparation, record: TaskRecord, folder: AttemptFolder): Promise<void> {
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
