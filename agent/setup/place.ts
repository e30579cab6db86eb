import { access, constants, readFile, realpath, stat } from "node:fs/promises";
import { basename, delimiter, dirname, isAbsolute, join } from "node:path";
import { succeeds } from "../host/succeeds.js";
import type { RunSpec } from "../runners/runner.js";

/** A program of the set-up. */
export interface SetupProgram {
  argv: string[];
  cwd: string;
  /** Over the environment that every program of a set-up gets. */
  env: Record<string, string>;
  /** Folders for the front of PATH. */
  path: string[];
  timeLimitMs: number;
  /** What it makes is for other tasks too: it is told nothing of this one. */
  isShared: boolean;
}

/** Where the programs of a set-up run: on the host, or in a task's container. */
export interface SetupPlace {
  /** What decides there beside the files and the commands, and stands in the key of what is made: an image, say. */
  identity: string;
  /** Undefined: there is no such program there. `identity` changes whenever what is made with it could be another thing. */
  find(program: string): Promise<{ path: string; identity: string } | undefined>;
  /** Whether something that was made there can still be used. */
  isThere(path: string): Promise<boolean>;
  /** What the runner is told, but for its key and its time limit. */
  specOf(program: SetupProgram): Omit<RunSpec, "key" | "timeLimitMs">;
}

/** The host itself: programs are looked up where the tasks of this agent find them, and known by file, size and age. */
export function hostPlace(specOf: SetupPlace["specOf"], path = process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin"): SetupPlace {
  return {
    identity: `host ${process.platform} ${process.arch}`,
    find: (program) => remembered(`${program} ${path}`, () => look(program, path)),
    isThere: (each) => succeeds(stat(each)),
    specOf,
  };
}

type Found = { path: string; identity: string } | undefined;

/** Programs come and go seldom, tasks start often: a look along the whole PATH serves those of a few seconds. */
const REMEMBER_MS = 5_000;
const memory = new Map<string, { atMs: number; found: Promise<Found> }>();

function remembered(key: string, find: () => Promise<Found>): Promise<Found> {
  const known = memory.get(key);
  if (known && performance.now() - known.atMs < REMEMBER_MS) return known.found;
  const found = find();
  memory.set(key, { atMs: performance.now(), found });
  found.catch(() => memory.delete(key));
  return found;
}

async function look(program: string, path: string): Promise<Found> {
  const found = await locate(program, path);
  return found === undefined ? undefined : { path: found, identity: await identify(found) };
}

async function locate(program: string, path: string): Promise<string | undefined> {
  const candidates = isAbsolute(program) ? [program] : path.split(delimiter).map((folder) => join(folder, program));
  for (const candidate of candidates) {
    const isProgram = await access(candidate, constants.X_OK).then(
      async () => (await stat(candidate)).isFile(),
      () => false,
    );
    if (isProgram) return candidate;
  }
  return undefined;
}

/** No process is started for it: the file that it comes down to is another one after every update. */
async function identify(path: string): Promise<string> {
  const real = await realpath(path);
  const { size, mtimeMs } = await stat(real);
  // pyenv's programs are all the same few lines; which interpreter they start stands in a file beside them.
  const folder = dirname(real);
  const isShim = basename(folder) === "shims";
  const chosen = isShim ? await readFile(join(folder, "..", "version"), "utf8").catch(() => "") : "";
  return [real, size, mtimeMs, ...(isShim ? [chosen.trim(), process.env.PYENV_VERSION ?? ""] : [])].join(" ");
}
