import { z } from "zod";
import { SecretUse } from "./secrets.js";
import { ON_DISCONNECT } from "./states.js";

/** A parameter's value keeps its type on the wire: no strings made of numbers. */
export const ParameterValue: z.ZodType<ParameterValue> = z.lazy(() =>
  z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(ParameterValue), z.record(z.string(), ParameterValue)]),
);
export type ParameterValue = string | number | boolean | null | ParameterValue[] | { [key: string]: ParameterValue };

/** Sections of parameters: `{ General: { lr: 0.1 } }` is addressed as `General/lr`. */
export const Parameters = z.record(z.string(), z.record(z.string(), ParameterValue));
export type Parameters = z.infer<typeof Parameters>;

/** A code bundle: a packed folder in the object store. */
export const CodeRef = z.object({
  /** sha256 of the packed bytes, hex: the object's name. */
  bundle: z.string(),
  sizeBytes: z.number(),
  files: z.number().int().optional(),
  /** Where it came from, for people. */
  origin: z
    .object({ folder: z.string().optional(), commit: z.string().optional(), branch: z.string().optional(), dirty: z.boolean().optional() })
    .optional(),
});
export type CodeRef = z.infer<typeof CodeRef>;

/** A file that the agent fetches before the task starts: it lies at `$NAVVY_INPUTS/<name>`. */
export const InputRef = z.object({
  sha256: z.string(),
  sizeBytes: z.number(),
  from: z.object({ task: z.string(), artifact: z.string() }).optional(),
  /** A folder of so many files; `sha256` is that of its tree. */
  files: z.number().int().optional(),
  /** URL of the store that holds it. Absent: the fleet's own object store. */
  store: z.string().optional(),
});
export type InputRef = z.infer<typeof InputRef>;

/** What a task asks of a machine: matched before it is taken, so an agent never takes what it can not run. */
export const Resources = z.object({
  /** How many GPUs the task holds for itself. */
  gpus: z.number().int().min(0).default(0),
  /** Each of its GPUs has at least that much memory. */
  gpuMemoryBytes: z.number().positive().optional(),
  /** Each of its GPUs is called so: part of the name, or a pattern with `*`; capitals do not matter. */
  gpuModel: z.string().min(1).optional(),
  /** Processors, also parts of one. A container gets no more. */
  cpus: z.number().positive().optional(),
  memoryBytes: z.number().positive().optional(),
  /** Free disk under the agent's work folder. */
  diskBytes: z.number().positive().optional(),
  /** What its agent carries, word for word. */
  labels: z.record(z.string(), z.string()).optional(),
});
export type Resources = z.infer<typeof Resources>;

export const PULL_POLICIES = ["missing", "always", "never"] as const;
export type PullPolicy = (typeof PULL_POLICIES)[number];

/** The container that a task runs in. Without one it is a plain process of the agent's user. */
export const Container = z.object({
  /** As the engine takes it: `python:3.12-slim`, `registry/name@sha256:…`. */
  image: z.string().min(1),
  pull: z.enum(PULL_POLICIES).default("missing"),
  /** Who it runs as: `self` (the agent's user), `image` (whom the image names), or `uid[:gid]`. */
  user: z.string().min(1).default("self"),
  /** In place of the image's own; its first element is the program. */
  entrypoint: z.array(z.string()).optional(),
  /** Default: the engine's. */
  network: z.string().min(1).optional(),
  /** Size of /dev/shm. */
  shmBytes: z.number().positive().optional(),
  /** Most processes and threads at once. */
  pids: z.number().int().positive().optional(),
  /** Folders and files of the host; only those that the agent's owner allows. */
  mounts: z.array(z.object({ source: z.string().min(1), target: z.string().min(1), readOnly: z.boolean().default(true) })).default([]),
  /** More arguments for the engine's `create`; only those that the agent's owner allows. */
  args: z.array(z.string()).default([]),
});
export type Container = z.infer<typeof Container>;

/** Code that the agent clones by itself, on the host, with the host's own git configuration. */
export const GitRef = z.object({
  /** As git takes it; never rewritten. Credentials do not stand in it: they come from the host's git configuration. */
  url: z.string().min(1),
  /** The branch or tag whose newest commit is taken when `commit` is absent. */
  ref: z.string().min(1).optional(),
  /** Full hexadecimal name. */
  commit: z.string().optional(),
  /** What was not committed where the task was made: the sha256 of a patch in the object store, applied over the commit. */
  diff: z.object({ sha256: z.string(), sizeBytes: z.number() }).optional(),
  /** False: its submodules stay empty folders. Absent: they are fetched too. */
  submodules: z.boolean().optional(),
  /** The checkout that it was taken from, for people: `head` where `commit` is not what was checked out, changed files in the diff. */
  origin: z.object({ branch: z.string().optional(), head: z.string().optional(), files: z.number().int().optional() }).optional(),
});
export type GitRef = z.infer<typeof GitRef>;

export const SETUP_KINDS = ["commands", "python", "node"] as const;
export const DEFAULT_SETUP_LIMIT_MS = 30 * 60_000;

/** What is made ready once, before the task, and kept for others that need the same. */
export const Setup = z.object({
  /** `python`: a virtual environment, `node`: node_modules, from the files; `commands`: what they say. */
  kind: z.enum(SETUP_KINDS).default("commands"),
  /** Lines for `sh -c`, one after the other; with `python` and `node` after their own. */
  commands: z.array(z.string()).default([]),
  /**
   * Files or folders of the code that decide what comes out, seen from the working directory: their content is part of the
   * cache's key. Default with `python` and `node`: what each of them knows by name.
   */
  files: z.array(z.string()).default([]),
  /** With `python`: the program that makes the environment, by name or full path. Default: python3. */
  interpreter: z.string().min(1).optional(),
  /** All of it takes no longer than that. */
  timeLimitMs: z.number().positive().default(DEFAULT_SETUP_LIMIT_MS),
});
export type Setup = z.infer<typeof Setup>;

/** Between SIGTERM and SIGKILL, for a task that says nothing and has no shorter time limit. */
export const DEFAULT_GRACE_MS = 30_000;

export const PARAMETERS_AS = ["flags", "hydra"] as const;

/** What to run and how: the part of a record that a draft's owner may edit. */
export const TaskSpec = z.object({
  /** Program and arguments. Empty: nothing to run (a template that is filled in later). */
  command: z.array(z.string()),
  /** Working directory inside the bundle. */
  directory: z.string().optional(),
  code: CodeRef.optional(),
  /** In place of `code`. */
  git: GitRef.optional(),
  setup: Setup.optional(),
  container: Container.optional(),
  inputs: z.record(z.string(), InputRef).default({}),
  /** URL of the store for its artifacts, where the agent allows it. Default: the agent's. */
  artifactStore: z.string().optional(),
  env: z.record(z.string(), z.string()).default({}),
  /** By the variable or file that the task knows each by. Values never stand in a record. */
  secrets: z.record(z.string(), SecretUse).optional(),
  parameters: Parameters.default({}),
  /** Its parameters follow the command as arguments too: `--lr 0.1`, or `lr=0.1` as Hydra takes them. Absent: they do not. */
  parametersAs: z.enum(PARAMETERS_AS).optional(),
  resources: Resources.default({ gpus: 0 }),
  /** The process may run this long; then it is ended as `timed_out`. */
  timeLimitMs: z.number().positive().optional(),
  /** Between SIGTERM and SIGKILL. */
  graceMs: z.number().min(0).default(DEFAULT_GRACE_MS),
  /** The user's own retries: failures of the program, never of a machine. */
  retries: z.object({ limit: z.number().int().min(0), backoffMs: z.number().min(0) }).default({ limit: 0, backoffMs: 1000 }),
  /** How often a machine may be lost under it before it is given up. */
  lostLimit: z.number().int().min(0).default(3),
  /** Bytes of its log that are kept, half from the start and half from the end. Default: its agent's, 2 GiB. */
  logLimitBytes: z.number().int().positive().optional(),
  /** Default: what its queue says, else freeze. */
  onDisconnect: z.enum(ON_DISCONNECT).optional(),
});
export type TaskSpec = z.infer<typeof TaskSpec>;
