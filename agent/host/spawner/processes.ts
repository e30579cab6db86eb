import { readdirSync, readFileSync } from "node:fs";
import { KEY_VARIABLE, monotonicMs } from "./wire.js";

/** Process numbers by the attempt whose key they carry. */
export type Found = ReadonlyMap<string, readonly number[]>;

/** What a walk met. One that is not complete may have missed somebody who forked and ended under it. */
export interface Walk {
  found: Found;
  isComplete: boolean;
}

/** Sends a signal to a process, or with a negative number to a group. False: nobody is there. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    // EPERM: someone is there whom we may not signal (a set-uid program).
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Above this age the memory of foreign processes is dropped: a number could have been given out again. */
const MEMORY_MS = 2_000;
/** How often one walk looks again when processes came or went under it. */
const PASSES = 5;

/**
 * Finds the processes of attempts, wherever they fled to, by the key in their environment.
 *
 * One walk reads the environment of every process, so it serves all attempts at once and remembers for a moment which
 * processes are not ours. A process that vanishes while it is looked at may have forked before: the walk then looks again.
 */
export class ProcessTable {
  #foreign = new Set<string>();
  #walkedAtMs = Number.NEGATIVE_INFINITY;

  walk(): Walk {
    if (monotonicMs() - this.#walkedAtMs > MEMORY_MS) this.#foreign.clear();
    const keyOf = new Map<string, string>();
    let isComplete = false;
    for (let pass = 0; pass < PASSES && !isComplete; pass++) isComplete = this.#pass(keyOf);
    this.#walkedAtMs = monotonicMs();
    const found = new Map<string, number[]>();
    for (const [pid, key] of keyOf) found.set(key, [...(found.get(key) ?? []), Number(pid)]);
    return { found, isComplete };
  }

  /** True when every process there was could be told. */
  #pass(keyOf: Map<string, string>): boolean {
    const pids = listProcesses();
    const foreign = new Set<string>();
    let isSettled = true;
    for (const pid of pids) {
      if (keyOf.has(pid)) continue;
      const key = this.#foreign.has(pid) ? "foreign" : identify(pid);
      if (key === "foreign") foreign.add(pid);
      else if (key === "unclear") isSettled = false;
      else keyOf.set(pid, key.key);
    }
    this.#foreign = foreign;
    return isSettled;
  }
}

function listProcesses(): string[] {
  try {
    return readdirSync("/proc").filter((name) => name >= "0" && name <= "99999999");
  } catch {
    // No /proc (not Linux): process groups are all there is.
    return [];
  }
}

function identify(pid: string): { key: string } | "foreign" | "unclear" {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
    if (environment === "") return hasNoEnvironment(pid) ? "foreign" : "unclear";
    const start = `\0${environment}`.indexOf(`\0${KEY_VARIABLE}=`);
    if (start < 0) return "foreign";
    const from = start + KEY_VARIABLE.length + 1;
    const end = environment.indexOf("\0", from);
    const key = environment.slice(from, end < 0 ? undefined : end);
    return { key: Buffer.from(key, "latin1").toString() };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESRCH") return isThereWithoutEnvironment(pid) ? "foreign" : "unclear";
    return code === "EACCES" || code === "EPERM" ? "foreign" : "unclear";
  }
}

/** Newer kernels refuse to open what a kernel thread does not have, in the words for one that is gone. */
function isThereWithoutEnvironment(pid: string): boolean {
  try {
    return hasNoEnvironment(pid);
  } catch {
    return false;
  }
}

/** The process group of a process; undefined: it has ended. */
export function groupOf(pid: number): number | undefined {
  try {
    return Number(statOf(pid)[2]);
  } catch {
    return undefined;
  }
}

/** The fields of /proc/<pid>/stat from the state on: the name before it may hold anything. */
function statOf(pid: number | string): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

const KERNEL_THREAD = 0x00200000;
/** Where /proc/<pid>/stat says from and to which address the environment lies; both 0: that is not known. */
const [ENVIRONMENT_FROM, ENVIRONMENT_TO] = [47, 48];

/**
 * A process in the middle of exec has no environment for a moment: it must be looked at again. Zombies, kernel threads and whoever
 * was given an empty one never have one; nor may the first process, which is nobody's task.
 */
function hasNoEnvironment(pid: string): boolean {
  const fields = statOf(pid);
  const isEmpty = fields[ENVIRONMENT_FROM] !== "0" && fields[ENVIRONMENT_FROM] === fields[ENVIRONMENT_TO];
  return pid === "1" || isEmpty || fields[0] === "Z" || fields[0] === "X" || (Number(fields[6]) & KERNEL_THREAD) !== 0;
}

/** The numbers of a process in each process namespace, the outermost first; empty: it has ended. */
export function namespacePids(pid: number | "self"): number[] {
  try {
    const line = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? "";
    return line.split(/\s+/).filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
