import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Navvy } from "../broker/index.js";
import { NavvyError, type TaskRecord } from "../protocol/index.js";
import type { AgentConfig } from "./config.js";
import { BundleCache } from "./host/bundle-cache.js";
import { passingCache } from "./host/input-cache.js";
import { Repositories } from "./host/repositories.js";
import { taskEnvironment } from "./task/environment.js";
import { folderAt, layLibrary, libraryIn, shellIn } from "./task/folder.js";
import { inputsOf, parametersWithPaths } from "./task/input-words.js";
import { layOut } from "./task/prepare.js";
import { programOf } from "./task/program.js";
import { SetupLog } from "./task/setup-log.js";

const GIT_LIMIT_MS = 15 * 60_000;

export interface ReplayOptions {
  navvy: Navvy;
  task: TaskRecord;
  /** Default: the latest that is known. */
  attempt?: number | undefined;
  /** Absolute; made anew. */
  into: string;
  /** What git's environment is made of. */
  inherited: Record<string, string | undefined>;
  say: (line: string) => void;
}

/** A task's folder as an attempt would have it. */
export interface Replay {
  folder: string;
  /** Working directory. */
  cwd: string;
  /** What the task's process gets beside what its agent's host has: no connection of navvy, no GPUs of that host. */
  env: Record<string, string>;
  /** With its parameters in it. */
  command: string[];
  /** For the front of PATH. */
  path: string[];
  commit?: string;
}

/**
 * Lays a task out in a folder of this machine, by the same way as an agent does: code, inputs, parameters. Environments and
 * containers are left to whoever runs it.
 * @throws NavvyError not_found (no such attempt), and what preparing an attempt throws
 */
export async function layOutReplay(options: ReplayOptions): Promise<Replay> {
  const { navvy, into, say } = options;
  const record = replayed(options.task, options.attempt);
  const folder = folderAt(into);
  await mkdir(dirname(into), { recursive: true });
  const cache = await mkdtemp(`${into}-`);
  let commit: string | undefined;
  try {
    const cwd = await layOut(
      {
        bundles: new BundleCache({ dir: join(cache, "bundles"), fetch: (sha256, file) => navvy.objects.getToFile(sha256, file) }),
        repositories: new Repositories({
          dir: join(cache, "git"),
          maxBytes: Number.POSITIVE_INFINITY,
          limitMs: GIT_LIMIT_MS,
          inherited: options.inherited,
          fetch: (sha256, file, signal) => navvy.objects.getToFile(sha256, file, signal),
        }),
        inputs: passingCache(cache, (ref, path, signal) => navvy.artifacts.fetch(ref, path, signal)),
        setupLog: new TellingLog(folder, say),
        learn: (facts) => (commit = facts.commit ?? commit),
      },
      record,
      folder,
    );
    const inputs = inputsOf(record.spec, folder.inputs);
    await writeFile(folder.params, JSON.stringify(parametersWithPaths(record.spec.parameters, inputs), null, 2));
    await layLibrary(libraryIn(into));
    const config = { name: record.attempts[0]?.agent ?? "", folder: into } as AgentConfig;
    const { PATH: _path, ...env } = taskEnvironment({
      config,
      record,
      slot: { pool: "compute", gpus: [] },
      folder,
      inherited: {},
      prepared: { env: {}, path: [] },
    });
    const { command } = programOf(record.spec, inputs);
    return { folder: into, cwd, env, command, path: [shellIn(libraryIn(into))], ...(commit === undefined ? {} : { commit }) };
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
}

/** The record as that attempt had it. */
function replayed(task: TaskRecord, wanted: number | undefined): TaskRecord {
  const attempt = wanted ?? task.attempts.at(-1)?.attempt;
  const known = task.attempts.filter((each) => each.attempt === attempt);
  if (wanted !== undefined && known.length === 0)
    throw new NavvyError("not_found", `task ${task.id} has no attempt ${wanted}`, {
      why: `known: ${task.attempts.map((each) => each.attempt).join(", ") || "none"}`,
    });
  const { setup: _setup, container: _container, ...spec } = task.spec;
  return { ...task, attempt: attempt ?? 1, attempts: known, spec };
}

class TellingLog extends SetupLog {
  readonly #say: (line: string) => void;

  constructor(folder: ConstructorParameters<typeof SetupLog>[0], say: (line: string) => void) {
    super(folder);
    this.#say = say;
  }

  override say(text: string): Promise<void> {
    this.#say(text);
    return super.say(text);
  }
}
