/** What becomes of a tree when its agent's lease is over: it is stopped until there is a lease again, killed, or let be. */
export type DisconnectRule = "freeze" | "kill" | "continue";

/** A container by its engine's program (`docker`, `podman`, or a path) and its name there. */
export interface ContainerHandle {
  engine: string;
  name: string;
}

/** A folder or file of the host in a container. */
export interface Mount {
  source: string;
  target: string;
  readOnly: boolean;
}

/** The container to make for a program; `cwd` and `env` are as it sees them. */
export interface ContainerRun {
  image: string;
  /** `uid:gid`, or undefined for the image's own. */
  user?: string;
  entrypoint?: readonly string[];
  mounts: readonly Mount[];
  network?: string;
  cpus?: number;
  memoryBytes?: number;
  shmBytes?: number;
  pids?: number;
  /** The GPUs it sees, by what the maker's tools call them. */
  gpus?: { vendor: "nvidia" | "amd"; ids: readonly string[] };
  /** More arguments for the engine's `create`. */
  args: readonly string[];
  labels: Readonly<Record<string, string>>;
}

/** What to start: the attempt's key, its program, and the files that get what it prints and how it ends. */
export interface RunSpec {
  /** Names the attempt on this machine. */
  key: string;
  argv: string[];
  cwd: string;
  /** The whole environment: nothing is inherited. */
  env: Record<string, string>;
  /** Spool files, appended to; named pipes where there is a `spool`. */
  stdout: string;
  stderr: string;
  /** The files that get what goes through the pipes: redacted. A spawner that does not know it opens the pipes all the same. */
  spool?: { stdout: string; stderr: string };
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
  /** Most memory that the tree may take, where the machine can limit it. Default: no limit. */
  maxMemoryBytes?: number;
  /** Absent: a plain process. */
  container?: ContainerRun;
}

/** How a main process ended. */
export interface ProcessEnd {
  code: number | null;
  signal: string | null;
  /** Its machine lost hold of it: nobody saw how it ended, or what watched it died. No failure of the user's program. */
  lost?: boolean;
  /** Why it was lost. */
  reason?: string;
  /**
   * Who ended it first, if not itself: what was given to `end`, or "kill", "time_limit", "lease" (its rule is to be killed with
   * the lease), "orphaned" (no agent came back in time), "shutdown". It is no failure of the user's program.
   */
  endedBy?: string;
  /** The kernel ended it for want of memory. */
  isOutOfMemory?: boolean;
  /** It never ran, and why. */
  failure?: StartFailure;
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
  isOutOfMemory?: boolean;
  /** As in {@link ProcessEnd}; of a running tree: it has been told to end. */
  endedBy?: string;
  /** Why it never ran. */
  failure?: StartFailure;
  /** It is one. */
  container?: ContainerHandle;
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
  /** Resolves when what was released is cleaned up. */
  close(): Promise<void>;
  /** The journal knows it for a container's, and the spawner does not know it (any more): it can be killed and judged all the same. */
  recall(key: string): void;
  /** What an end that was found in an exit file says of a container; of a plain process it is the whole truth. */
  judge(key: string, end: ProcessEnd): Promise<ProcessEnd>;
}
