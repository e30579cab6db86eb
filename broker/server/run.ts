import { execFile } from "node:child_process";

/** How a short command ended. `code` is null when it could not be started or was ended by a signal. */
export interface Ran {
  code: number | null;
  stdout: string;
  /** What it printed to stderr, or why it could not be started. */
  stderr: string;
}

/** Where, with what environment and for how long a command may run. */
export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Default 60,000. */
  timeoutMs?: number;
}

/** Runs one short command to its end. Never throws: a command that is missing or fails is a value. */
export function run(file: string, args: string[], { cwd, env, timeoutMs = 60_000 }: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(file, args, { cwd, env, timeout: timeoutMs, maxBuffer: 8 << 20 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
      resolve({ code, stdout, stderr: stderr === "" && error !== null ? error.message : stderr });
    });
  });
}

/** The last line that says something: what a command's failure is summed up with. */
export function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)?.trim() ?? "";
}
