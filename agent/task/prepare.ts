import { mkdir } from "node:fs/promises";
import { join, sep } from "node:path";
import type { Objects } from "../../broker/index.js";
import { isNavvyError, NavvyError, type TaskRecord } from "../../protocol/index.js";
import type { BundleCache } from "../host/bundle-cache.js";
import { type AttemptFolder, makeFolder } from "./folder.js";

export interface Preparation {
  bundles: BundleCache;
  objects: Objects;
  /** Cuts downloads short. */
  signal?: AbortSignal;
}

/**
 * Lays out an attempt's folder: parameters, code, inputs. Returns the working directory.
 * @throws NavvyError setup_failed (the task's fault), disk_full (the machine's), and what the broker says
 */
export async function prepare({ bundles, objects, signal }: Preparation, record: TaskRecord, folder: AttemptFolder): Promise<string> {
  try {
    await makeFolder(folder, record);
    if (record.spec.code) await bundles.materialize(record.spec.code, folder.work);
    await fetchInputs({ objects, signal }, record, folder);
    return workingDirectory(record, folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC")
      throw new NavvyError("disk_full", `no room left for task ${record.id} in ${folder.root}`, { cause: error });
    throw error;
  }
}

async function fetchInputs(
  { objects, signal }: { objects: Objects; signal: AbortSignal | undefined },
  record: TaskRecord,
  folder: AttemptFolder,
): Promise<void> {
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
