import type { Socket } from "node:net";

/**
 * What the agent and its spawner say to each other: one JSON object per line over a Unix socket.
 *
 * Both sides come from the same build, so nothing here is versioned. Only `node:` modules may be reached from here.
 */
export interface StartRequest {
  op: "start";
  /** Names the attempt on this machine; every process of its tree carries it in the environment. */
  key: string;
  argv: string[];
  cwd: string;
  /** The whole environment: nothing is inherited from the spawner. */
  env: Record<string, string>;
  /** Spool files, appended to. */
  stdout: string;
  stderr: string;
  /** Gets `{code, signal, at}` when the main process ends and no agent is there to be told. */
  exitFile: string;
}

/** Agent to spawner. */
export type Request =
  /** `orphanMs`: how long the trees outlive the agent's connection. */
  | { op: "hello"; agent: string; orphanMs: number }
  | StartRequest
  /** To the whole process group. */
  | { op: "signal"; key: string; signal: string }
  | { op: "kill"; key: string }
  /** Trees are frozen `freezeInMs` after `sentAtMs` (of {@link monotonicMs}); null or negative: never. */
  | { op: "lease"; freezeInMs: number | null; sentAtMs: number }
  | { op: "shutdown" };

/** Spawner to agent. `gone` follows `exited`. */
export type Notice =
  | { event: "started"; key: string; pid: number }
  | ({ event: "failed"; key: string } & StartFailure)
  | { event: "exited"; key: string; code: number | null; signal: string | null }
  | { event: "gone"; key: string }
  | { event: "frozen" }
  | { event: "thawed" };

/** Why a program could not be started, for people and by errno. */
export interface StartFailure {
  errno: string;
  message: string;
  fix?: string;
}

/** Environment variable that marks every process of an attempt's tree. */
export const KEY_VARIABLE = "NAVVY_ATTEMPT_KEY";

/** Milliseconds of the machine's monotonic clock: comparable between processes, deaf to changes of the time of day. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Calls back with each whole line's value. */
export function readLines<T>(socket: Socket, each: (message: T) => void): void {
  let rest = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) each(JSON.parse(line) as T);
  });
}

/** Writes lines in one go per turn of the event loop: at hundreds of tasks a second the system calls would dominate. */
export class LineWriter<T> {
  readonly #socket: Socket;
  #waiting = "";

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(message: T): void {
    if (this.#waiting === "") setImmediate(() => this.flush());
    this.#waiting += `${JSON.stringify(message)}\n`;
  }

  /** Hands over what waits at once: before the connection is ended. */
  flush(): void {
    if (this.#waiting !== "" && this.#socket.writable) this.#socket.write(this.#waiting);
    this.#waiting = "";
  }
}
