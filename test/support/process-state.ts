import { readFileSync } from "node:fs";

/** Whether a process stands still: stopped by a signal, or in a frozen cgroup. False when it is gone. */
export function isFrozen(pid: number): boolean {
  return stateOf(pid) === "T" || isCgroupFrozen(pid);
}

/** One letter, as in `/proc/<pid>/stat`; empty when it is gone. */
export function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2)[0] ?? "";
  } catch {
    return "";
  }
}

/** The cgroup v2 of a process as a folder; undefined where there is none, or the process is gone. */
export function cgroupOf(pid: number): string | undefined {
  try {
    const path = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1];
    const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync("/proc/mounts", "utf8"))?.[1];
    return path === undefined || mount === undefined ? undefined : `${mount}${path}`;
  } catch {
    return undefined;
  }
}

function isCgroupFrozen(pid: number): boolean {
  const folder = cgroupOf(pid);
  if (folder === undefined) return false;
  try {
    return /^frozen 1$/m.test(readFileSync(`${folder}/cgroup.events`, "utf8"));
  } catch {
    return false; // the root has no such file; or it ended just now
  }
}
