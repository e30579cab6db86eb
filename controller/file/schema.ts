import { z } from "zod";
import { CLASSES, ON_DISCONNECT, PARAMETERS_AS, ParameterValue, PULL_POLICIES, SECRET_KINDS, TASK_TYPES } from "../../protocol/index.js";
import { GraphParameter, ON_CONFLICT, ON_FAILURE, RETRY_CAUSES } from "../graph/index.js";
import { DURATION, SIZE } from "./quantities.js";

/** A value, or an expression that gives one. */
const Template = z.string().regex(/\$\{/, "expected a value, or an expression in ${ }");
const orTemplate = <T extends z.ZodType>(schema: T) => z.union([schema, Template]);

const Duration = z.union([z.number().min(0), z.string().regex(DURATION, "a duration looks like 90s, 15m, 1h30m or 2d")]);
const Size = z.union([z.number().min(0), z.string().regex(SIZE, "a size looks like 512M, 40GiB or 100000")]);
const Text = z.union([z.string(), z.number(), z.boolean()]);
const Names = z.array(z.string().min(1));
const oneOrMore = z.union([z.string(), z.array(z.string())]);

const Code = z.union([
  z.strictObject({
    /** `.` or a path: the checkout there, its commit and what was not committed; else as git takes it. */
    repo: z.string().min(1),
    ref: z.string().min(1).optional(),
    commit: z.string().min(7).optional(),
    diff: z.enum(["include", "exclude"]).optional(),
    submodules: z.boolean().optional(),
  }),
  /** A folder that is packed. */
  z.strictObject({ dir: z.string().min(1) }),
]);
/** Where the code of a step is from, by its file's folder. */
export type FileCode = z.infer<typeof Code>;

const Retry = z.union([
  z.number().int().min(0),
  z.strictObject({ max: z.number().int().min(0).max(1000), on: z.array(z.enum(RETRY_CAUSES)).optional(), backoff: Duration.optional() }),
]);

const Monitors = z.strictObject({ metrics: Names.optional(), artifacts: Names.optional(), models: Names.optional() });
const Secrets = z.union([
  Names,
  z.record(
    z.string(),
    z.union([z.string().min(1), z.strictObject({ secret: z.string().min(1).optional(), as: z.enum(SECRET_KINDS).optional() })]),
  ),
]);
const Env = z.record(z.string(), Text);

/** What a task asks of a machine. */
const MACHINE = {
  gpus: orTemplate(z.number().int().min(0)).optional(),
  gpu_mem: Size.optional(),
  gpu_model: z.string().min(1).optional(),
  cpus: orTemplate(z.number().positive()).optional(),
  mem: Size.optional(),
  disk: Size.optional(),
  labels: z.record(z.string(), Text).optional(),
};

const CONTAINER = {
  image: z.string().min(1).optional(),
  pull: z.enum(PULL_POLICIES).optional(),
  run_as: z.string().min(1).optional(),
  entrypoint: oneOrMore.optional(),
  network: z.string().min(1).optional(),
  shm: Size.optional(),
  pids: z.number().int().positive().optional(),
  mounts: z.array(z.string().regex(/^\/[^:]*:\/[^:]*(?::r[ow])?$/, "a mount is /SOURCE:/TARGET or /SOURCE:/TARGET:rw")).optional(),
  docker_args: Names.optional(),
};

const SETUP = {
  setup: oneOrMore.optional(),
  setup_files: Names.optional(),
  setup_timeout: Duration.optional(),
  /** A virtual environment; a text is the Python to make it with. */
  python: z.union([z.boolean(), z.string().min(1)]).optional(),
  requirements: oneOrMore.optional(),
  node: z.boolean().optional(),
};

/** What a step can have from `defaults`: how and where, not what. */
const SETTINGS = {
  queue: z.string().min(1).optional(),
  class: z.enum(CLASSES).optional(),
  ...MACHINE,
  ...CONTAINER,
  ...SETUP,
  code: Code.optional(),
  dir: z.string().min(1).optional(),
  env: Env.optional(),
  secrets: Secrets.optional(),
  params_as: z.enum(PARAMETERS_AS).optional(),
  timeout: Duration.optional(),
  wait_timeout: Duration.optional(),
  grace: Duration.optional(),
  log_limit: Size.optional(),
  artifact_store: z.string().min(1).optional(),
  on_disconnect: z.enum(ON_DISCONNECT).optional(),
  retry: Retry.optional(),
  cache: z.union([z.boolean(), z.literal("refresh")]).optional(),
  on_failure: z.enum(ON_FAILURE).optional(),
  tags: Names.optional(),
};
export const Settings = z.strictObject(SETTINGS);
export type FileSettings = z.infer<typeof Settings>;

export const FileStep = z.strictObject({
  /** For a shell, or a program and its arguments. */
  run: z.union([z.string().min(1), z.array(Text).min(1)]).optional(),
  /** A task to clone: its id, name or `project/name`. */
  task: z.string().min(1).optional(),
  /** A pipeline: its file, seen from this one. */
  uses: z.string().min(1).optional(),
  with: z.record(z.string(), ParameterValue).optional(),
  needs: oneOrMore.optional(),
  description: z.string().optional(),
  stage: z.string().optional(),
  type: z.enum(TASK_TYPES).optional(),
  params: z.record(z.string(), ParameterValue).optional(),
  inputs: z.record(z.string(), z.string().min(1)).optional(),
  outputs: Names.optional(),
  artifacts: Names.optional(),
  when: z.union([z.string().min(1), z.boolean()]).optional(),
  matrix: z.record(z.string(), ParameterValue).optional(),
  max_parallel: z.number().int().positive().optional(),
  fail_fast: z.boolean().optional(),
  until: z.strictObject({ condition: z.string().min(1), limit: z.number().int().positive().max(10_000) }).optional(),
  early_stop: z.string().min(1).optional(),
  approve: z.union([z.literal(true), z.strictObject({ who: oneOrMore.optional(), timeout: Duration.optional() })]).optional(),
  monitor: Monitors.optional(),
  ...SETTINGS,
});
export type FileStep = z.infer<typeof FileStep>;

const Literal = z.union([z.string(), z.number(), z.boolean(), z.array(ParameterValue)]);
const FileParameter = z.strictObject(GraphParameter.extend({ type: GraphParameter.shape.type.optional() }).shape);

/** A pipeline's file: docs/pipelines.md. */
export const PipelineFile = z.strictObject({
  navvy: z.literal(1),
  name: z.string().min(1).max(128),
  project: z.string().min(1).optional(),
  version: Text.optional(),
  description: z.string().optional(),
  /** Its parameters: a default alone, or type, default and limits. */
  params: z.record(z.string(), z.union([FileParameter, Literal])).optional(),
  code: Code.optional(),
  defaults: Settings.optional(),
  env: Env.optional(),
  secrets: Secrets.optional(),
  steps: z.record(z.string(), FileStep),
  finally: z.record(z.string(), FileStep).optional(),
  outputs: z.record(z.string(), ParameterValue).optional(),
  monitor: Monitors.optional(),
  concurrency: z.strictObject({ group: z.string().min(1), on_conflict: z.enum(ON_CONFLICT).optional() }).optional(),
  timeout: Duration.optional(),
  /** `abort`: the first failure ends everything that runs. `stop`: what runs is let to its end. */
  on_failure: z.enum(["stop", "abort"]).optional(),
  tags: Names.optional(),
});
export type PipelineFile = z.infer<typeof PipelineFile>;

/** JSON Schema (draft 2020-12) of the file, for editors. */
export function pipelineFileSchema(): object {
  const schema = z.toJSONSchema(PipelineFile, { io: "input", unrepresentable: "any" });
  return { ...schema, title: "navvy pipeline, version 1" };
}
