import { isAbsolute, join, relative, sep } from "node:path";
import { NavvyError, type Setup } from "../../protocol/index.js";
import { digestPath, digestText } from "./digest.js";
import type { SetupPlace } from "./place.js";

/** What a set-up is about. All absolute paths. */
export interface SetupContext {
  setup: Setup;
  /** The attempt's folder with the task's code. */
  code: string;
  /** The task's working directory in it. */
  cwd: string;
  /** What the task's specification says about the environment: programs of the set-up see it too. */
  env: Record<string, string>;
  place: SetupPlace;
  /** Cuts reading short. */
  signal?: AbortSignal;
}

/** One program of a set-up. */
export interface Step {
  /** Names its section of the log. */
  name: string;
  argv: string[];
  cwd: string;
}

/** Where a set-up takes place. */
export interface Layout {
  /** `$NAVVY_ENV`: the folder for what is kept. */
  env: string;
  /** Where the code lies that the environment may point into: the attempt's working directory, or a copy that lasts as long. */
  base: string;
}

/** What comes out in a layout, and how. */
export interface Made {
  steps: Step[];
  /** For the programs of the set-up and for the task. */
  env: Record<string, string>;
  path: string[];
  /** A path that is there when the environment can be used: an interpreter that was removed leaves a dead link. */
  witness: string;
  /** To be linked into the working directory. */
  nodeModules?: string;
}

/** What a kind of set-up needs to know and to do. */
export interface Recipe {
  /** Files and folders whose content decides, as paths from the working directory or absolute ones. */
  files: string[];
  /** What else decides: programs, by their identities. */
  identities: string[];
  /** What of the code has to last as long as the environment: all of it, or these files. */
  copies: "code" | string[];
  make(layout: Layout): Made;
}

/** Raised when environments of an earlier form can not be used any more. */
const VERSION = 1;

/**
 * Names what a set-up makes: equal keys, equal environments. Everything that decides goes in, and nothing of the attempt itself.
 * Undefined: it can not be known what comes out, so it is made anew for every attempt.
 * @throws NavvyError setup_failed when a file is not in the code
 */
export async function keyOfSetup(context: SetupContext, recipe: Recipe): Promise<string | undefined> {
  const { setup, place, env, cwd, signal } = context;
  if (setup.kind === "commands" && setup.files.length === 0) return undefined;
  const files = await Promise.all(
    [...new Set([...recipe.files, ...setup.files])].sort().map(async (file) => {
      const path = resolveFile(context, file);
      const digest = await digestPath(path, signal);
      if (digest === undefined) throw missing(setup, file);
      return [relative(cwd, path), digest];
    }),
  );
  const { kind, commands } = setup;
  const variables = Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = [VERSION, kind, commands, files, [place.identity, ...recipe.identities], recipe.copies, variables];
  return digestText(JSON.stringify(parts)).slice(0, 32);
}

/** Files that the user names lie in the code; a kind may name others that its own files name. */
function resolveFile({ setup, code, cwd }: SetupContext, file: string): string {
  const path = isAbsolute(file) ? file : join(cwd, file);
  if (setup.files.includes(file) && path !== code && !path.startsWith(`${code}${sep}`))
    throw new NavvyError("setup_failed", `set-up file ${JSON.stringify(file)} leaves the task's code`, {
      fix: "name files by their path from the working directory: --setup-file requirements.txt",
    });
  return path;
}

function missing(setup: Setup, file: string): NavvyError {
  return new NavvyError("setup_failed", `the set-up names ${file}, which is not in the task's code`, {
    why: setup.files.includes(file)
      ? "it is looked for from the working directory (--dir) of the code that was sent along"
      : `the set-up's other files (${setup.kind}) point to it`,
    fix: ["send the folder that holds it: --code DIR", "or name the right one: --setup-file FILE"],
  });
}
