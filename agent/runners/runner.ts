/** What becomes of a tree when its agent's lease is over: it is stopped until there is a lease again, killed, or let be. */
export type DisconnectRule = "freeze" | "kill" | "continue";

/** What to start: the attempt's key, its program, and the files that get what it prints and how it ends. */
export interface RunSpec {
  /** Names the attempt on this machine. */
  key: string;
  argv: string[];
  cwd: string;
  /** The whole environment: nothing is inherited. */
  env: Record<string, string>;
  /** Spool files, appended to. */
  stdout: string;
  stderr: string;
  /** Gets `{code, signal, endedBy, at}` when the tree's main process ends and no agent is there to be told. */
  exitFile: string;
  /** Default "freeze". */
  onDisconnect?: DisconnectRule;
  /** Ends the tree after that long, as `end` does by "time_limit". Time spent frozen does not count. Default: no limit. */
  timeLimitMs?: number;
  /** Between SIGTERM and SIGKILL at the time limit. Default 30,000. */
  graceMs?: number;
  /** Most processes and threads that the tree may have at once, where the machine can limit them. Default: no limit. */
  maxPids?: number;
}

/** How a main process ended. */
export interface ProcessEnd {
  code: number | null;
  signal: string | null;
  /** Nobody saw it, because what watched it died. */
  lost?: boolean;
  /**
   * Who ended it first, if not itself: what was given to `end`, or "kill", "time_limit", "lease" (its rule is to be killed with
   * the lease), "orphaned" (no agent came back in time), "shutdown". It is no failure of the user's program.
   */
  endedBy?: string;
}

/** Why a program could not be started, for people and by errno. */
export interface StartFailure {
  errno: string;
  message: string;
  fix?: string;
}

/** Where a tree stands that was there before this agent. */
export interface TreeState {
  key: string;
  /** Null: it never ran. */
  pid: number | null;
  /** `exited`: its main process has ended; `gone`: and so has everyone else of it. */
  state: "running" | "exited" | "gone";
  code?: number | null;
  signal?: string | null;
  /** As in {@link ProcessEnd}; of a running tree: it has been told to end. */
  endedBy?: string;
  /** Why it never ran. */
  failure?: StartFailure;
}

/** How to end a tree, and what is told as its cause. */
export interface EndRequest {
  graceMs: number;
  by: string;
}

/** Runs process trees, each named by the key of its attempt. The same tests run against every runner. */
export interface Runner {
  /** The trees of an earlier run of this agent that were found alive or not yet recorded; they answer as if started here. */
  readonly adopted: readonly TreeState[];
  /** @throws NavvyError setup_failed when the program can not be started */
  start(spec: RunSpec): Promise<{ pid: number }>;
  /** Resolves when the main process has ended. */
  exited(key: string): Promise<ProcessEnd>;
  /** Resolves when nothing of the tree is left. */
  gone(key: string): Promise<void>;
  /** To the whole tree. */
  signal(key: string, signal: NodeJS.Signals): void;
  /** SIGTERM to the whole tree, SIGKILL after the grace, also when the agent hangs by then. The first cause wins. */
  end(key: string, request: EndRequest): void;
  /** SIGKILL to the whole tree; resolves when nothing of it is left. */
  kill(key: string): Promise<void>;
  /** Has the tree stand still; its time limit does not count meanwhile. An end resumes it. */
  pause(key: string): void;
  resume(key: string): void;
  /** The end is recorded: the tree need not be remembered any more. */
  release(key: string): void;
}
