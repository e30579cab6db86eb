import { spawn } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { explainFailure } from "./explain.js";
import { KEY_VARIABLE, type StartFailure, type StartRequest } from "./wire.js";

/** What happens to one started program, each at most once. */
export interface LaunchEvents {
  started(pid: number): void;
  failed(failure: StartFailure): void;
  exited(code: number | null, signal: NodeJS.Signals | null): void;
}

/**
 * Starts a program in its own session and process group, its output straight into its spool files, so that neither
 * this process nor the agent is between the task and what it prints; or into the pipes of a filter.
 */
export function launch(request: StartRequest, on: LaunchEvents): void {
  const files: number[] = [];
  try {
    const open = request.spool === undefined ? openFile : openPipe;
    for (const path of [request.stdout, request.stderr]) files.push(open(path));
    run(request, files, on);
  } catch (error) {
    on.failed(explainFailure(request, error as NodeJS.ErrnoException));
  } finally {
    for (const file of files) closeSync(file);
  }
}

function openFile(path: string): number {
  return openSync(path, "a", 0o600);
}

/** To open it waits for a reader: for that moment we are one, or a reader that died would hold us here for ever. */
function openPipe(path: string): number {
  const both = openSync(path, constants.O_RDWR);
  try {
    return openSync(path, constants.O_WRONLY);
  } finally {
    closeSync(both);
  }
}

function run(request: StartRequest, files: number[], on: LaunchEvents): void {
  const [program = "", ...args] = request.argv;
  const child = spawn(program, args, {
    cwd: request.cwd,
    env: { ...request.env, [KEY_VARIABLE]: request.key },
    stdio: ["ignore", ...files],
    detached: true,
  });
  child.once("error", (error) => {
    // Node also reports a failed kill() here; only a program that never ran is a failed start.
    if (child.pid === undefined) on.failed(explainFailure(request, error));
  });
  if (child.pid === undefined) return;
  child.once("exit", (code, signal) => on.exited(code, signal));
  on.started(child.pid);
}
