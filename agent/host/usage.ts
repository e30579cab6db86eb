import { readdirSync } from "node:fs";
import { join } from "node:path";
import { cgroupOf, ownCgroup, ownCgroupV1, tryRead } from "./cgroup.js";

/** What a process tree has used until now, and what it holds. */
export interface Usage {
  cpuSeconds: number;
  /** Without what the kernel would give back first: files that were read. */
  memoryBytes: number;
  /** The most that it ever held, where the kernel keeps it; with those files. */
  peakBytes?: number;
  /** From and to disks. */
  readBytes: number;
  writtenBytes: number;
}

/** Of `/proc/PID/stat`; the same on every Linux that we know. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;
const MAX_PROCESSES = 2_000;

/**
 * What the tree of a process uses: from its cgroups, as far as it has some of its own with these controllers, else added up over
 * its processes.
 */
export class UsageProbe {
  readonly #pid: number;
  readonly #unified: string | undefined;
  readonly #memory: string | undefined;
  readonly #blkio: string | undefined;
  readonly #cpuacct: string | undefined;
  /** Of processes: each one's last figures, so that what one did is not forgotten with it. */
  readonly #sums = { cpu: new Growing(), read: new Growing(), written: new Growing() };

  constructor(pid: number) {
    this.#pid = pid;
    const own = (path: string | undefined, ours: string | undefined) =>
      path === undefined || (ours !== undefined && (ours === path || ours.startsWith(join(path, "/")))) ? undefined : path;
    const v1 = (controller: string) => own(cgroupOf(pid, controller), ownCgroupV1(controller));
    this.#unified = own(cgroupOf(pid), ownCgroup());
    this.#memory = v1("memory");
    this.#blkio = v1("blkio");
    this.#cpuacct = v1("cpuacct");
  }

  /** Undefined: it has ended. */
  read(): Usage | undefined {
    const pids = this.#pids();
    if (pids.length === 0) return undefined;
    const each = pids.flatMap((pid) => statOf(pid) ?? []);
    const { readBytes, writtenBytes } = this.#io() ?? this.#ioOf(pids);
    return {
      cpuSeconds: this.#cpu() ?? this.#sums.cpu.of([sum(each.map((one) => one.cpuSeconds))]),
      ...this.#held(pids),
      readBytes,
      writtenBytes,
    };
  }

  #pids(): number[] {
    return (this.#unified === undefined ? treeOf(this.#pid) : membersOf(this.#unified)).slice(0, MAX_PROCESSES);
  }

  #cpu(): number | undefined {
    const usec = this.#unified === undefined ? undefined : fieldOf(join(this.#unified, "cpu.stat"), "usage_usec");
    if (usec !== undefined) return usec / 1e6;
    const nanoseconds = this.#cpuacct === undefined ? undefined : numberIn(join(this.#cpuacct, "cpuacct.usage"));
    return nanoseconds === undefined ? undefined : nanoseconds / 1e9;
  }

  #held(pids: number[]): Pick<Usage, "memoryBytes" | "peakBytes"> {
    const [v2, v1] = [
      heldBy(this.#unified, { now: "memory.current", peak: "memory.peak", file: "inactive_file" }),
      heldBy(this.#memory, { now: "memory.usage_in_bytes", peak: "memory.max_usage_in_bytes", file: "total_inactive_file" }),
    ];
    return v2 ?? v1 ?? { memoryBytes: residentBytes(pids) };
  }

  #io(): Pick<Usage, "readBytes" | "writtenBytes"> | undefined {
    const v2 = this.#unified === undefined ? "" : tryRead(join(this.#unified, "io.stat"));
    const v1 = this.#blkio === undefined ? "" : tryRead(join(this.#blkio, "blkio.throttle.io_service_bytes"));
    const text = v2 || v1;
    if (text === "") return undefined;
    const all = (pattern: RegExp) => sum(Array.from(text.matchAll(pattern), (match) => Number(match[1])));
    return v2 === ""
      ? { readBytes: all(/ Read (\d+)/g), writtenBytes: all(/ Write (\d+)/g) }
      : { readBytes: all(/rbytes=(\d+)/g), writtenBytes: all(/wbytes=(\d+)/g) };
  }

  #ioOf(pids: number[]): Pick<Usage, "readBytes" | "writtenBytes"> {
    const files = pids.map((pid) => tryRead(`/proc/${pid}/io`));
    const of = (field: string) => files.map((text) => Number(new RegExp(`^${field}: (\\d+)$`, "m").exec(text)?.[1] ?? 0));
    return { readBytes: this.#sums.read.of(of("read_bytes"), pids), writtenBytes: this.#sums.written.of(of("write_bytes"), pids) };
  }
}

/** Undefined: it has no such controller. */
function heldBy(cgroup: string | undefined, names: { now: string; peak: string; file: string }) {
  const now = cgroup === undefined ? undefined : numberIn(join(cgroup, names.now));
  if (cgroup === undefined || now === undefined) return undefined;
  const peakBytes = numberIn(join(cgroup, names.peak));
  const memoryBytes = Math.max(0, now - (fieldOf(join(cgroup, "memory.stat"), names.file) ?? 0));
  return { memoryBytes, ...(peakBytes === undefined ? {} : { peakBytes }) };
}

/** A sum over things that come and go, which never shrinks. */
class Growing {
  #last = new Map<number, number>();
  #total = 0;

  of(values: number[], keys: number[] = [0]): number {
    const now = new Map(keys.map((key, i) => [key, values[i] ?? 0]));
    for (const [key, value] of now) this.#total += Math.max(0, value - (this.#last.get(key) ?? 0));
    this.#last = now;
    return this.#total;
  }
}

/** Of a cgroup and those that the tree made below it. */
function membersOf(folder: string): number[] {
  const pids = tryRead(join(folder, "cgroup.procs")).split("\n").map(Number).filter(Boolean);
  const below = foldersIn(folder);
  return [...pids, ...below.flatMap((name) => membersOf(join(folder, name)))];
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    return []; // it is gone
  }
}

/** A process and its descendants. Who left the tree is not seen. */
function treeOf(pid: number): number[] {
  if (statOf(pid) === undefined) return [];
  const found = [pid];
  for (let i = 0; i < found.length && found.length < MAX_PROCESSES; i++)
    for (const thread of foldersIn(`/proc/${found[i]}/task`))
      found.push(...tryRead(`/proc/${found[i]}/task/${thread}/children`).trim().split(" ").map(Number).filter(Boolean));
  return found;
}

/** With what its children used that have ended. Undefined: it has ended. */
function statOf(pid: number): { cpuSeconds: number } | undefined {
  const text = tryRead(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields.length < 16 || fields[0] === "Z" || fields[0] === "X") return undefined;
  return { cpuSeconds: sum(fields.slice(11, 15).map(Number)) / TICKS_PER_SECOND };
}

/** What they share counts once, as far as can be told without walking through their page tables, which would hold them up. */
function residentBytes(pids: number[]): number {
  let own = 0;
  let shared = 0;
  for (const pid of pids) {
    const [, resident = 0, ofOthersToo = 0] = tryRead(`/proc/${pid}/statm`).split(" ").map(Number);
    own += resident - ofOthersToo;
    shared = Math.max(shared, ofOthersToo);
  }
  return (own + shared) * PAGE_BYTES;
}

function numberIn(path: string): number | undefined {
  const text = tryRead(path).trim();
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

function fieldOf(path: string, name: string): number | undefined {
  const found = new RegExp(`^${name} (\\d+)$`, "m").exec(tryRead(path))?.[1];
  return found === undefined ? undefined : Number(found);
}

const sum = (numbers: number[]) => numbers.reduce((all, each) => all + each, 0);
