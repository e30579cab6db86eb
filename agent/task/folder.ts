import { cp, mkdir, readFile, rm, rmdir, symlink, unlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { TaskRecord } from "../../protocol/index.js";
import { packageRoot } from "../package-root.js";
import { inputsOf, parametersWithPaths } from "./input-words.js";
import { seenBy } from "./seen.js";

/** The folder of one attempt: what a task sees, and what it leaves. All absolute paths. */
export interface AttemptFolder {
  root: string;
  /** Working directory, with the task's code. */
  work: string;
  inputs: string;
  artifacts: string;
  params: string;
  events: string;
  output: string;
  /** For event files of TensorBoard; not there until the task makes it. */
  tensorboard: string;
  /** Markdown for people. */
  summary: string;
  /** HOME in a container. */
  home: string;
  stdout: string;
  stderr: string;
  /** What happened before the program, and where its sections begin. */
  setup: string;
  sections: string;
  setupExit: string;
  exitFile: string;
  /** How far the log was shipped, and what was reported: for an agent that adopts the attempt. */
  shipped: string;
  taken: string;
  /** Which folders are one artifact each. */
  wholeFolders: string;
}

export function attemptFolder(agentFolder: string, key: string, record: TaskRecord): AttemptFolder {
  return folderAt(join(agentFolder, "attempts", key), hasParameters(record) ? undefined : noParameters(agentFolder));
}

/** The same anywhere. `params`: a file that is shared. */
export function folderAt(root: string, params?: string): AttemptFolder {
  return {
    root,
    work: join(root, "work"),
    inputs: join(root, "inputs"),
    artifacts: join(root, "artifacts"),
    params: params ?? join(root, "params.json"),
    events: join(root, "events.jsonl"),
    output: join(root, "output"),
    tensorboard: join(root, "tb"),
    summary: join(root, "summary.md"),
    home: join(root, "home"),
    stdout: join(root, "stdout"),
    stderr: join(root, "stderr"),
    setup: join(root, "setup"),
    sections: join(root, "sections.jsonl"),
    setupExit: join(root, "setup-exit.json"),
    exitFile: join(root, "exit.json"),
    shipped: join(root, "shipped.json"),
    taken: join(root, "taken.json"),
    wholeFolders: join(root, "folders.json"),
  };
}

/** Where one of the agent's own sources of reports appends its lines; a container does not see it. */
export const eventsFile = (folder: Pick<AttemptFolder, "root">, source: string) => join(folder.root, `events-${source}.jsonl`);

/** Makes the folder; what a crash left of an earlier try is removed. */
export async function makeFolder(folder: AttemptFolder, record: TaskRecord): Promise<void> {
  await mkdir(folder.root).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  const seen = parametersWithPaths(record.spec.parameters, inputsOf(record.spec, seenBy(record, folder).inputs));
  const writing = hasParameters(record) ? [writeFile(folder.params, JSON.stringify(seen, null, 2))] : [];
  await Promise.all([mkdir(folder.work), mkdir(folder.artifacts), ...writing]).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    await rm(folder.root, { recursive: true, force: true });
    await makeFolder(folder, record);
  });
  if (record.spec.container === undefined) return;
  // What is mounted must be there before.
  await Promise.all([
    mkdir(folder.home),
    mkdir(folder.tensorboard),
    ...[folder.events, folder.output, folder.summary].map((file) => writeFile(file, "", { flag: "a" })),
  ]);
}

/** What tasks get of navvy, in containers too: `navvy/task`, `navvy.py` and `navvy-report`, which need nothing else. */
export const libraryIn = (agentFolder: string) => join(agentFolder, "library");
/** For PYTHONPATH and for PATH. */
export const pythonIn = (library: string) => join(library, "dist", "task", "python");
export const shellIn = (library: string) => join(library, "dist", "task", "shell");

/** What the trainer-progress endpoint's clients send along: the file must be there, the address itself says who they are. */
export const trainerTokenIn = (agentFolder: string) => join(libraryIn(agentFolder), "trainer-token");
/** The same as a container sees it (`attemptMounts`). */
export const TRAINER_TOKEN_INSIDE = "/navvy/node_modules/navvy/trainer-token";

/** Most short tasks have no parameters: they share one empty file. */
const noParameters = (agentFolder: string) => join(agentFolder, "no-params.json");

function hasParameters(record: TaskRecord): boolean {
  return Object.keys(record.spec.parameters).length > 0;
}

/**
 * Lays down what every attempt of the agent may use: `node_modules/navvy`, found by walking up from any work folder, so
 * that tasks import `navvy/task` and `navvy/controller` without installing; and `bin/` for PATH with `navvy`, `navvy-report` and `tsx`.
 */
export async function makeAgentFolder(agentFolder: string): Promise<void> {
  const root = packageRoot();
  const tsx = join(dirname(createRequire(import.meta.url).resolve("tsx/package.json")), "dist", "cli.mjs");
  await mkdir(join(agentFolder, "attempts"), { recursive: true, mode: 0o700 });
  await mkdir(join(agentFolder, "node_modules"), { recursive: true });
  await mkdir(join(agentFolder, "bin"), { recursive: true });
  await writeFile(noParameters(agentFolder), "{}\n");
  await link(root, join(agentFolder, "node_modules", "navvy"));
  await link(join(root, "dist", "cli", "main.js"), join(agentFolder, "bin", "navvy"));
  await link(tsx, join(agentFolder, "bin", "tsx"));
  const library = libraryIn(agentFolder);
  await layLibrary(library);
  await link(join(shellIn(library), "navvy-report"), join(agentFolder, "bin", "navvy-report"));
  await writeFile(trainerTokenIn(agentFolder), "navvy\n");
}

/**
 * Copied, not linked: an engine that runs beside a container with this agent finds nothing but the agent's work folder. Over what is
 * there: containers that an earlier run left have the folder itself mounted.
 */
export async function layLibrary(library: string): Promise<void> {
  const root = packageRoot();
  await cp(join(root, "dist", "task"), join(library, "dist", "task"), { recursive: true });
  const { name, version, type, exports } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Record<string, unknown>;
  await writeFile(join(library, "package.json"), JSON.stringify({ name, version, type, exports }, null, 2));
}

/** Removes an attempt's folder in the background: nobody waits for it, and a start cleans up what a crash left. */
export function removeLater(folder: AttemptFolder, log: { warn(detail: object, message: string): void }): void {
  remove(folder).catch((error: unknown) => log.warn({ err: error, folder: folder.root }, "an attempt's folder could not be removed"));
}

/** What is always there goes by name: a general recursive removal looks at each thing twice, and most tasks leave nothing else. */
async function remove(folder: AttemptFolder): Promise<void> {
  const gone = (error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  };
  try {
    await Promise.all([
      ...[join(folder.root, "params.json"), folder.stdout, folder.stderr].map((file) => unlink(file).catch(gone)),
      ...[folder.work, folder.artifacts].map((path) => rmdir(path).catch(gone)),
    ]);
    await rmdir(folder.root);
  } catch {
    await rm(folder.root, { recursive: true, force: true, maxRetries: 3 }); // it left something
  }
}

async function link(target: string, path: string): Promise<void> {
  await rm(path, { force: true, recursive: true });
  await symlink(target, path);
}
