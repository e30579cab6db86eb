import { z } from "zod";
import { CLASSES, ParameterValue } from "../../protocol/index.js";

/**
 * A pipeline as data: what the SDK and the pipeline file are both compiled to, and what the engine runs.
 *
 * Every string below a `Template` may hold `${…}` expressions (docs/pipelines.md). A string that is one expression and nothing else
 * becomes that expression's value with its type; in a longer one values are inserted as text. `Expression` is an expression without
 * the braces.
 */
const Template = ParameterValue;
const Expression = z.string().min(1);

/** Names of steps, parameters and stages: what can stand in `${…}` and in a key. */
export const GRAPH_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;
const Name = z.string().regex(GRAPH_NAME);

export const PARAMETER_TYPES = ["int", "float", "string", "bool", "list", "any"] as const;
export type GraphParameterType = (typeof PARAMETER_TYPES)[number];

/** A parameter of the pipeline: `General/<name>` of its controller's task. Without a default it must be given. */
export const GraphParameter = z.object({
  type: z.enum(PARAMETER_TYPES).default("any"),
  /** Of a list: what its members are. */
  of: z.enum(PARAMETER_TYPES).optional(),
  default: ParameterValue.optional(),
  min: z.number().optional(),
  max: z.number().optional(),
  choices: z.array(ParameterValue).optional(),
  description: z.string().optional(),
});
export type GraphParameter = z.infer<typeof GraphParameter>;

/** Causes of a step's failure, for `retry.on`: of the program, of its set-up, its time limit, its machine, or a person's abort. */
export const RETRY_CAUSES = ["failed", "setup", "timeout", "out_of_memory", "lost", "aborted"] as const;
export type RetryCause = (typeof RETRY_CAUSES)[number];

export const Retry = z.object({
  /** How often after the first time. */
  limit: z.number().int().min(0).max(1000),
  /** Before the first retry; doubled before each further one, 10 min at most. */
  backoffMs: z.number().min(0).default(1000),
  on: z.array(z.enum(RETRY_CAUSES)).default(["failed", "setup", "timeout", "out_of_memory", "lost"]),
});
export type Retry = z.infer<typeof Retry>;

/** What a step runs. */
export const StepAction = z.discriminatedUnion("kind", [
  /** A clone of a task: its id, name or `project/name`. */
  z.object({ kind: z.literal("template"), task: z.string().min(1) }),
  /** A task given in place: parts of a `TaskSpec`. `script` is for a shell: values are inserted quoted. */
  z.object({
    kind: z.literal("task"),
    spec: z.record(z.string(), Template),
    script: z.string().optional(),
    taskType: z.string().optional(),
  }),
  /** A function of the controller's own program, run as a task of its own from the same code. */
  z.object({
    kind: z.literal("function"),
    arguments: z.record(z.string(), Template).default({}),
    /** Names of what it returns: each becomes an artifact, and an output where it is short. */
    returns: z.array(z.string()).default([]),
  }),
  /** A pipeline as a step: a controller of its own. */
  z.object({
    kind: z.literal("pipeline"),
    get pipeline(): z.ZodType<Graph> {
      return z.lazy(() => Graph) as unknown as z.ZodType<Graph>;
    },
    with: z.record(z.string(), Template).default({}),
  }),
]);
export type StepAction = z.infer<typeof StepAction>;

/** What becomes of the rest when a step fails: its pipeline fails, its children run all the same, or only they are skipped. */
export const ON_FAILURE = ["stop", "continue", "skip_children"] as const;
export type OnFailure = (typeof ON_FAILURE)[number];

export const CACHE_MODES = ["off", "use", "refresh"] as const;

/** Patterns with `*`, of names of its task's own; each is copied as `<step>/<name>`. */
export const Monitors = z.object({
  metrics: z.array(z.string()).default([]),
  artifacts: z.array(z.string()).default([]),
  models: z.array(z.string()).default([]),
});

/** So many members of a matrix are refused before anything starts. */
export const MAX_MATRIX = 10_000;

export const Step = z.object({
  name: Name,
  description: z.string().optional(),
  /** Steps of a stage are shown together. */
  stage: z.string().optional(),
  action: StepAction,
  /** Steps that must have ended first; those whose results it uses are added to them. */
  parents: z.array(z.string()).default([]),
  /** Default: the graph's. May be a template. */
  queue: z.string().optional(),
  class: z.enum(CLASSES).optional(),
  /** By `Section/name`. */
  parameters: z.record(z.string(), Template).default({}),
  /** Parts of a `TaskSpec`, over what its action says: deep for maps, whole for lists. */
  overrides: z.record(z.string(), Template).default({}),
  /** Files of other steps, by the name that they have in `$NAVVY_INPUTS`: each an expression that gives an artifact. */
  inputs: z.record(z.string(), Expression).default({}),
  /** Names that it will report; when given, references to others are refused before anything starts. */
  outputs: z.array(z.string()).optional(),
  artifacts: z.array(z.string()).optional(),
  /** Runs only if so. Default `success()`: every parent has completed. */
  when: Expression.optional(),
  /** One task for each combination: lists, or templates that give lists. */
  matrix: z.record(z.string(), Template).optional(),
  /** So many of a matrix at once. */
  maxParallel: z.number().int().positive().optional(),
  /** Whether the rest of a matrix is aborted when one of it fails. */
  failFast: z.boolean().default(true),
  /** Runs again until so, at most `limit` times in all; then the last one counts. `steps.<own name>` is the round before. */
  until: z.object({ condition: Expression, limit: z.number().int().positive().max(10_000) }).optional(),
  retry: Retry.optional(),
  /** On its queue, and running. */
  waitLimitMs: z.number().positive().optional(),
  timeLimitMs: z.number().positive().optional(),
  onFailure: z.enum(ON_FAILURE).default("stop"),
  cache: z.enum(CACHE_MODES).default("off"),
  /** Waits for a person's word: `navvy pipeline approve`. */
  approve: z.object({ who: z.array(z.string()).default([]), timeLimitMs: z.number().positive().optional() }).optional(),
  /** Ended as `failed` once its metrics meet the condition (the language of `navvy task ls --where`). */
  earlyStop: z.string().optional(),
  monitors: Monitors.optional(),
  tags: z.array(z.string()).default([]),
  /** Callbacks of the SDK that there are: `preExecute`, `postExecute`. */
  callbacks: z.array(z.string()).default([]),
  /** Where it stands in the file, for errors: `line:column`. */
  place: z.string().optional(),
});
export type Step = z.infer<typeof Step>;

export const ON_CONFLICT = ["queue", "cancel_previous", "refuse"] as const;

export interface Graph extends z.infer<typeof Graph> {}
export const Graph = z.object({
  type: z.literal("navvy.pipeline.v1"),
  name: z.string().min(1).max(128),
  project: z.string().default("default"),
  version: z.string().default("1.0.0"),
  description: z.string().optional(),
  parameters: z.record(Name, GraphParameter).default({}),
  steps: z.array(Step),
  /** Run when all the others are over, whatever became of them. */
  finally: z.array(Step).default([]),
  /** Where steps go that name no queue. */
  queue: z.string().default("default"),
  /** What the pipeline reports as outputs of its own task. */
  outputs: z.record(z.string(), Template).default({}),
  timeLimitMs: z.number().positive().optional(),
  /** Whether the first failure ends everything that runs. */
  abortOnFailure: z.boolean().default(false),
  /** One run of a group at a time. */
  concurrency: z.object({ group: z.string().min(1), onConflict: z.enum(ON_CONFLICT).default("queue") }).optional(),
  tags: z.array(z.string()).default([]),
});

/** A graph as it may be written: defaults left out. */
export type NewGraph = z.input<typeof Graph>;
