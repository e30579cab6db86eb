/** What to start: the attempt's key, its program, and the files that get what it prints and how it ends. */
export interface RunSpec {
  key: string;
  argv: string[];
  cwd: string;
  env: Record<string, string>;
  stdout: string;
  stderr: string;
  exitFile: string;
}

/** How a main process ended; `lost`: nobody saw it, because what watched it died. */
export interface ProcessEnd {
  code: number | null;
  signal: string | null;
  lost?: boolean;
}

/** Runs process trees, each named by the key of its attempt. The same tests run against every runner. */
export interface Runner {
  /** @throws NavvyError setup_failed when the program can not be started */
  start(spec: RunSpec): Promise<{ pid: number }>;
  /** Resolves when the main process has ended. */
  exited(key: string): Promise<ProcessEnd>;
  /** To the whole tree. */
  signal(key: string, signal: NodeJS.Signals): void;
  /** SIGKILL to the whole tree; resolves when nothing of it is left. */
  kill(key: string): Promise<void>;
}
