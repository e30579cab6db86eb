import { readdirSync, readFileSync } from "node:fs";
import { relative } from "node:path";

/** A process that a test started and that is still there. */
export interface Leak {
  pid: number;
  command: string;
  /** The test file that started it, relative to the project. */
  file: string;
}

/**
 * Everything alive that carries this run's mark in its environment. Reads `/proc`, so it finds also what was detached from its
 * parent; on systems without `/proc` it finds nothing. A program started with an emptied environment is not found.
 */
export function leaksOf(run: string): Leak[] {
  return pids().flatMap((pid) => {
    const env = read(`/proc/${pid}/environ`)?.split("\0");
    if (!env?.includes(`NAVVY_TEST_RUN=${run}`) || isZombie(pid)) return [];
    const file = env.find((entry) => entry.startsWith("NAVVY_TEST_FILE="))?.slice("NAVVY_TEST_FILE=".length) ?? "";
    const command = read(`/proc/${pid}/cmdline`)?.split("\0").join(" ").trim() || read(`/proc/${pid}/comm`)?.trim() || "?";
    return [{ pid, command: command.slice(0, 200), file: relative(process.cwd(), file) }];
  });
}

function pids(): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid);
}

/** Dead but not yet collected by its parent: nothing of it runs, and nothing more can be done to it. */
function isZombie(pid: number): boolean {
  return / Z /.test(read(`/proc/${pid}/stat`)?.replace(/^.*\)/s, "") ?? " Z ");
}

/** Processes come and go while we look, and other users' are closed to us. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
