import { readFileSync } from "node:fs";
import { NavvyError } from "../../protocol/index.js";
import type { Slot } from "../slots.js";

/** Raised when an older navvy could no longer read what a newer one writes. */
export const JOURNAL_VERSION = 1;

/** The agent's session as of when it was begun. */
export interface JournalSession {
  op: "session";
  session: string;
  revision: number;
  at: string;
}

/** The spawner that runs what this agent starts: it outlives the agent, and a restarted one connects to it again. */
export interface JournalSpawner {
  op: "spawner";
  pid: number;
  socketPath: string;
  /** Where its trees' cgroups are; null where there are none. */
  cgroup: string | null;
}

/** An attempt that is about to run: on disk before its process starts. */
export interface JournalStart extends Slot {
  op: "start";
  /** Names the attempt on this machine; its processes carry it in their environment. */
  key: string;
  task: string;
  attempt: number;
  session: string;
  /** Its working folder. */
  dir: string;
  stdout: string;
  stderr: string;
  exitFile: string;
  at: string;
  /** It runs in a container of its own. */
  container?: boolean;
  /** The main process, once an entry `pid` told it. */
  pid?: number;
}

/** One line of the journal. */
export type JournalEntry =
  /** The first line. `boot` is the machine's boot: nothing that ran before another one is still running. */
  | { op: "journal"; version: number; boot: string }
  | JournalSession
  | JournalSpawner
  | JournalStart
  | { op: "pid"; key: string; pid: number }
  | { op: "end"; key: string; at: string };

/** What a journal's lines add up to. */
export class JournalState {
  readonly starts = new Map<string, JournalStart>();
  session: JournalSession | undefined;
  spawner: JournalSpawner | undefined;

  apply(entry: JournalEntry): void {
    switch (entry.op) {
      case "journal":
        return;
      case "session":
        this.session = entry;
        return;
      case "spawner":
        this.spawner = entry;
        return;
      case "start":
        this.starts.set(entry.key, entry);
        return;
      case "pid": {
        const start = this.starts.get(entry.key);
        if (start !== undefined) this.starts.set(entry.key, { ...start, pid: entry.pid });
        return;
      }
      case "end":
        this.starts.delete(entry.key);
        return;
    }
  }

  lines(): string {
    const head: JournalEntry = { op: "journal", version: JOURNAL_VERSION, boot: bootId() };
    const kept = [this.session, this.spawner].filter((entry) => entry !== undefined);
    return [head, ...kept, ...this.starts.values()].map(toLine).join("");
  }
}

/**
 * The entries of a journal's text. A torn last line was never acknowledged and is left out; anything else that can not be
 * read means that what runs on this machine is not known, and that is not for the agent to guess. After a boot nothing runs,
 * so a file that a power failure tore is read as far as it goes.
 *
 * @throws NavvyError unreadable, newer_version
 */
export function parseLines(text: string, path: string): JournalEntry[] {
  const lines = text.split("\n");
  const head = tryParse(lines[0] ?? "");
  if (head?.op === "journal" && head.boot !== bootId()) return lines.map(tryParse).filter((entry) => entry !== undefined);
  const torn = lines.pop() ?? "";
  const entries = lines.map((line, i) => parseLine(line, { path, number: i + 1 }));
  // Written whole but for its newline by a crash at just that byte: a line like the others.
  const last = torn === "" ? undefined : tryParse(torn);
  return last ? [...entries, last] : entries;
}

function parseLine(line: string, at: { path: string; number: number }): JournalEntry {
  const entry = tryParse(line);
  if (entry === undefined) throw refused("unreadable", at, `line ${at.number} is not an entry: ${JSON.stringify(line.slice(0, 60))}`);
  if (entry.op === "journal" && entry.version > JOURNAL_VERSION)
    throw refused("newer_version", at, `it is of version ${entry.version}, and this navvy reads up to ${JOURNAL_VERSION}`);
  if (!OPS.has(entry.op)) throw refused("newer_version", at, `line ${at.number} is of the unknown kind ${JSON.stringify(entry.op)}`);
  return entry;
}

const OPS = new Set<string>(["journal", "session", "spawner", "start", "pid", "end"] satisfies JournalEntry["op"][]);

function tryParse(line: string): JournalEntry | undefined {
  try {
    const value = JSON.parse(line) as { op?: unknown } | null;
    return typeof value?.op === "string" ? (value as JournalEntry) : undefined;
  } catch {
    return undefined;
  }
}

function refused(code: "unreadable" | "newer_version", { path }: { path: string }, why: string): NavvyError {
  return new NavvyError(code, `the host journal can not be read: ${path}`, {
    why: `${why}; it says what runs on this machine, so the agent does not start without it`,
    fix: [
      ...(code === "newer_version" ? ["start the agent with the navvy that wrote it"] : []),
      "navvy agent start --forget   # moves the journal aside; what an earlier run left running is ended by its spawner within its time",
    ],
  });
}

/** Names the boot of this machine. Empty where there is none (not Linux). */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

/** With its newline. */
export function toLine(entry: JournalEntry): string {
  return `${JSON.stringify(entry)}\n`;
}
