import { readdirSync, readFileSync } from "node:fs";

/** A process of this run, as /proc shows it. */
export interface SeenProcess {
  pid: number;
  /** Of /proc: R, S, D, T (stopped), Z … */
  state: string;
  command: string;
  /** `<task>.<attempt>`; undefined: an agent or a spawner. */
  attemptKey: string | undefined;
  /** Its cgroup of version 2, as a folder; undefined where there is none. */
  cgroup: string | undefined;
}

/** Every process of a run that still lives, wherever it fled to: by the mark in its environment. */
export function processesOf(run: string): SeenProcess[] {
  return listProcesses().flatMap((pid) => lookAt(pid, run) ?? []);
}

export function listProcesses(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Undefined: not of this run, or dead. */
export function lookAt(pid: number, run: string): SeenProcess | undefined {
  const environment = read(`/proc/${pid}/environ`)?.split("\0");
  if (!environment?.includes(`CHAOS_RUN=${run}`)) return undefined;
  const state = stateOf(pid);
  if (state === undefined) return undefined;
  const key = environment.find((entry) => entry.startsWith("NAVVY_ATTEMPT_KEY="))?.slice("NAVVY_ATTEMPT_KEY=".length);
  const command = (read(`/proc/${pid}/cmdline`) ?? "").replaceAll("\0", " ").trim();
  return { pid, state, command, attemptKey: key, cgroup: cgroupOf(pid) };
}

/** Undefined: gone, or dead and not yet collected. */
export function stateOf(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`);
  const state = stat?.slice(stat.lastIndexOf(")") + 2)[0];
  return state === "Z" || state === "X" ? undefined : state;
}

/** Whether it can run at this moment: neither dead nor dying, nor stopped, nor in a frozen cgroup. */
export function canRun(process: Pick<SeenProcess, "pid" | "cgroup">): boolean {
  const state = stateOf(process.pid);
  if (state === undefined || state === "T" || state === "t" || isDying(process.pid)) return false;
  return process.cgroup === undefined || !/^frozen 1$/m.test(read(`${process.cgroup}/cgroup.events`) ?? "");
}

const SIGKILL_PENDING = 1n << 8n;
/** PF_EXITING of the kernel's `sched.h`: the ninth field of `stat` has it. */
const EXITING = 4;

/** Killed, and on its way out: it may wait long for a processor to die on, and runs nothing of its own any more. */
function isDying(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`);
  const flags = Number(stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[6] ?? 0);
  const pending = [...(read(`/proc/${pid}/status`) ?? "").matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)];
  return (flags & EXITING) !== 0 || pending.some(([, mask]) => (BigInt(`0x${mask}`) & SIGKILL_PENDING) !== 0n);
}

/** Where cgroups are mounted; version 2 also beside version 1. */
function cgroupMounts(version: "cgroup" | "cgroup2"): string[] {
  const mounts = (read("/proc/self/mountinfo") ?? "").matchAll(/^\S+ \S+ \S+ \S+ (\S+) .* - (\S+) /gm);
  return [...mounts].filter(([, , type]) => type === version).map(([, path = ""]) => path);
}

const [CGROUP_MOUNT] = cgroupMounts("cgroup2");

function cgroupOf(pid: number): string | undefined {
  const path = /^0::(.*)$/m.exec(read(`/proc/${pid}/cgroup`) ?? "")?.[1];
  return CGROUP_MOUNT !== undefined && path !== undefined ? `${CGROUP_MOUNT}${path === "/" ? "" : path}` : undefined;
}

/** The cgroups whose name says that they are an agent's of this run, in every hierarchy there is. */
export function cgroupsOf(agents: readonly string[]): string[] {
  const mounts = [...cgroupMounts("cgroup2"), ...cgroupMounts("cgroup")];
  return mounts.flatMap(foldersBelow).filter((path) => agents.some((agent) => path.includes(`/navvy-${agent}-`)));
}

/** Other people's cgroups come and go while we look. */
function foldersBelow(path: string): string[] {
  try {
    const inside = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return inside.map(({ name }) => `${path}/${name}`).flatMap((folder) => [folder, ...foldersBelow(folder)]);
  } catch {
    return [];
  }
}

/** Processes come and go while we look. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
