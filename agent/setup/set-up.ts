import { constants } from "node:fs";
import { cp, mkdir, symlink } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import type { Setup } from "../../protocol/index.js";
import type { Mount } from "../runners/runner.js";
import type { AttemptFolder } from "../task/folder.js";
import type { SetupLog } from "../task/setup-log.js";
import { commandsRecipe } from "./commands.js";
import { LEFT_OUT } from "./digest.js";
import type { Environments } from "./environments.js";
import { nodeRecipe } from "./node.js";
import type { Programs } from "./programs.js";
import { pythonRecipe } from "./python.js";
import { keyOfSetup, type Layout, type Made, type Recipe, type SetupContext } from "./recipe.js";
import { runSteps } from "./steps.js";

export interface SettingUp {
  environments: Environments;
  programs: Programs;
  setupLog: SetupLog;
  signal: AbortSignal;
}

/** Whose set-up it is. */
export interface SetupRequest {
  task: string;
  setup: Setup;
  folder: AttemptFolder;
  /** The task's working directory. */
  cwd: string;
  env: Record<string, string>;
}

/** What a set-up adds to a task's process; in a container it finds what was made under the path that it was made at. */
export interface MadeReady extends Pick<Made, "env" | "path"> {
  mounts: Mount[];
}

/** The section of the log for what is not a program's. */
const SECTION = "setup";

/**
 * Makes a task's environment ready: the one that is there under its key, or a new one.
 *
 * @returns what it adds to the environment of the task's process
 * @throws NavvyError setup_failed (the task's own), disk_full, internal (the machine's), aborted (cut short)
 */
export async function setUp(parts: SettingUp, request: SetupRequest): Promise<MadeReady> {
  const { setup, folder, cwd, env } = request;
  const { programs, setupLog, signal } = parts;
  const context = { setup, code: folder.work, cwd, env, place: programs.place, signal };
  const planned = await setupLog.section(SECTION, async () => {
    const recipe = await recipeOf(context);
    return { recipe, key: await keyOfSetup(context, recipe) };
  });
  const { recipe, key } = planned;
  if (key === undefined) return { ...(await anew(parts, request, recipe)), mounts: [] };
  const { folder: made } = await shared(parts, request, { recipe, key });
  const result = recipe.make(layoutOf(context, recipe, made));
  if (result.nodeModules !== undefined) await linkModules(parts, { from: result.nodeModules, into: cwd });
  return { ...result, mounts: [{ source: made, target: made, readOnly: true }] };
}

async function recipeOf(context: SetupContext): Promise<Recipe> {
  switch (context.setup.kind) {
    case "commands":
      return commandsRecipe(context);
    case "python":
      return pythonRecipe(context);
    case "node":
      return nodeRecipe(context);
  }
}

/** Nothing says what comes out, so nothing is kept: the attempt's own folder serves, and the programs see all that the task sees. */
async function anew(parts: SettingUp, { setup, folder, cwd }: SetupRequest, recipe: Recipe): Promise<Made> {
  const env = join(folder.root, "env");
  await mkdir(env);
  const made = recipe.make({ env, base: cwd });
  await runSteps(parts, made, { limitMs: setup.timeLimitMs, isShared: false });
  return made;
}

async function shared(parts: SettingUp, request: SetupRequest, { recipe, key }: { recipe: Recipe; key: string }) {
  const { environments, programs, setupLog, signal } = parts;
  const { task, setup, folder, cwd, env } = request;
  const context = { setup, code: folder.work, cwd, env, place: programs.place };
  const found = await environments.use({
    ...{ key, task, kind: setup.kind, root: folder.root, limitMs: setup.timeLimitMs, cut: signal },
    isWhole: (at) => programs.place.isThere(recipe.make(layoutOf(context, recipe, at)).witness),
    build: async (at) => {
      const layout = layoutOf(context, recipe, at);
      await copy(context, recipe, layout);
      await runSteps(parts, recipe.make(layout), { limitMs: setup.timeLimitMs, isShared: true });
    },
    tail: () => setupLog.failedTail,
    say: (text) => setupLog.say(text),
    section: (act) => setupLog.section(SECTION, act),
  });
  const name = basename(found.folder);
  if (found.made) await setupLog.say(`environment ${name} is ready: made for task ${found.made.task} at ${found.made.madeAt}`);
  return found;
}

function layoutOf({ code, cwd }: SetupContext, { copies }: Recipe, env: string): Layout {
  if (copies === "code") return { env, base: join(env, "code", relative(code, cwd)) };
  return { env, base: copies.length > 0 ? join(env, "files") : cwd };
}

/** What an environment points into has to last as long as it does. */
async function copy({ code, cwd }: SetupContext, { copies }: Recipe, { env, base }: Layout): Promise<void> {
  const options = { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE };
  if (copies === "code")
    return cp(code, join(env, "code"), { ...options, filter: (path) => path === code || !LEFT_OUT.has(basename(path)) });
  if (copies.length === 0) return;
  await mkdir(base, { recursive: true });
  for (const file of copies) await cp(join(cwd, file), join(base, file), { ...options, verbatimSymlinks: false, dereference: true });
}

/** Code that brings its own is taken at its word. */
async function linkModules({ setupLog }: SettingUp, { from, into }: { from: string; into: string }): Promise<void> {
  await mkdir(from, { recursive: true }); // with nothing to install npm makes none
  await symlink(from, join(into, "node_modules")).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    return setupLog.say("the code brings node_modules of its own: what the set-up made is not used");
  });
}
