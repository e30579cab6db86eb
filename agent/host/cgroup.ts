import { closeSync, constants, openSync, readdirSync, readFileSync, rmdirSync, writeSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** How often an emptying cgroup is looked at, and for how long. */
const LOOK_MS = 5;
const EMPTY_WITHIN_MS = 5_000;

/**
 * This process's own cgroup in the v2 hierarchy, as a folder, also where cgroup2 is mounted beside v1; undefined: there is none.
 * Whether we may make cgroups in it is another matter.
 */
export function ownCgroup(): string | undefined {
  return cgroupOf("self");
}

/** This process's own cgroup in the v1 hierarchy of a controller. */
export function ownCgroupV1(controller: string): string | undefined {
  return cgroupOf("self", controller);
}

/** A process's cgroup in the v2 hierarchy, or in the v1 hierarchy of a controller; undefined: it can not be seen from here. */
export function cgroupOf(pid: number | "self", controller?: string): string | undefined {
  if (controller === undefined)
    return find(
      pid,
      (type) => type === "cgroup2",
      (controllers) => controllers === "",
    );
  return find(
    pid,
    (type, options) => type === "cgroup" && options.includes(controller),
    (controllers) => controllers.split(",").includes(controller),
  );
}

/**
 * Kills everything in and below a cgroup that a spawner left behind, waits for its end and removes the folders. Nothing happens
 * when it is not there. Throws the file system's error when it can not be removed.
 */
export async function clearCgroup(folder: string): Promise<void> {
  if (!tryWrite(join(folder, "cgroup.kill"), "1")) return;
  const deadline = performance.now() + EMPTY_WITHIN_MS;
  while (isPopulated(folder) && performance.now() < deadline) await delay(LOOK_MS);
  removeCgroup(folder);
  for (const controller of ["pids", "memory"]) {
    const limits = ownCgroupV1(controller);
    if (limits !== undefined) removeCgroup(join(limits, basename(folder)));
  }
}

/** Removes a cgroup that has no process any more, bottom up. */
export function removeCgroup(folder: string): void {
  for (const name of listCgroups(folder)) removeCgroup(join(folder, name));
  try {
    rmdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Whether a process lives in or below it. */
export function isPopulated(folder: string): boolean {
  return /^populated 1$/m.test(tryRead(join(folder, "cgroup.events")));
}

/** False: it could not be written. */
export function tryWrite(path: string, text: string): boolean {
  let file: number | undefined;
  try {
    // Some of these files may be written but not read by their owner, and none may be made.
    file = openSync(path, constants.O_WRONLY);
    writeSync(file, text);
    return true;
  } catch {
    // Not there, not allowed, or not on this kernel: the caller has another way.
    return false;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Empty: it could not be read. */
export function tryRead(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // As above.
    return "";
  }
}

function listCgroups(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    // It is gone.
    return [];
  }
}

/** A mount may show a part of the hierarchy only: what lies outside of it can not be reached. */
function find(
  pid: number | "self",
  isMount: (type: string, options: string[]) => boolean,
  isOurs: (controllers: string) => boolean,
): string | undefined {
  const own = tryRead(`/proc/${pid}/cgroup`)
    .split("\n")
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .find((match) => match !== null && isOurs(match[1]!))?.[2];
  const mount = tryRead("/proc/self/mountinfo")
    .split("\n")
    .map((line) => line.split(" "))
    .find((fields) => {
      const [type = "", , options = ""] = fields.slice(fields.indexOf("-") + 1);
      return isMount(type, options.split(","));
    });
  const [, , , root, point] = mount ?? [];
  if (own === undefined || root === undefined || point === undefined) return undefined;
  const below = relative(root, own);
  return below.startsWith("..") ? undefined : join(point, below);
}
