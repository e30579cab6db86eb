/** The agent's session as of when it was taken up: what a restarted agent tries to renew. */
export interface JournalSession {
  op: "session";
  session: string;
  revision: number;
  at: string;
}

/** An attempt that is about to run: on disk before its process starts. */
export interface JournalStart {
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
  /** Indices of the GPUs it holds. */
  gpus: number[];
  at: string;
  /** The main process, once an entry `pid` told it. */
  pid?: number;
}

/** One line of the journal. */
export type JournalEntry = JournalSession | JournalStart | { op: "pid"; key: string; pid: number } | { op: "end"; key: string; at: string };

/** What a journal's lines add up to. */
export class JournalState {
  readonly starts = new Map<string, JournalStart>();
  session: JournalSession | undefined;

  apply(entry: JournalEntry): void {
    switch (entry.op) {
      case "session":
        this.session = entry;
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
      default:
        // An entry of a newer navvy: not ours to judge.
        return;
    }
  }

  lines(): string {
    return [...(this.session ? [this.session] : []), ...this.starts.values()].map(toLine).join("");
  }
}

/** What can be read of a journal's text. */
export function parseLines(text: string): JournalEntry[] {
  return text.split("\n").flatMap(parseLine);
}

function parseLine(line: string): JournalEntry[] {
  try {
    return line === "" ? [] : [JSON.parse(line) as JournalEntry];
  } catch {
    // Torn by a crash: it was never acknowledged.
    return [];
  }
}

/** With its newline. */
export function toLine(entry: JournalEntry): string {
  return `${JSON.stringify(entry)}\n`;
}
