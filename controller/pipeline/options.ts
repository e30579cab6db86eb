import type { ParameterValue, QueueClass, Resources, TaskSpec } from "../../protocol/index.js";
import type { CacheMode, Graph, GraphParameter, NewGraph, OnFailure, Retry } from "../graph/graph.js";
import type { StepHooks } from "./context.js";

/** What a pipeline is called, and what holds for all of it. */
export interface PipelineOptions {
  name: string;
  /** Default `default`. */
  project?: string;
  /** Default 1.0.0. */
  version?: string;
  description?: string;
  tags?: string[];
  /** Where steps go that name no queue. Default `default`. */
  queue?: string;
  /** Of all of it; then what runs is aborted, and it has failed or was aborted. */
  timeLimitMs?: number;
  /** Whether the first step that fails ends everything. Default: what does not need it runs on. */
  abortOnFailure?: boolean;
  /** One run of a group at a time: the others wait (`queue`), take its place (`cancel_previous`), or are refused (`refuse`). */
  concurrency?: { group: string; onConflict?: "queue" | "cancel_previous" | "refuse" };
  /** What it reports as outputs of its own task; templates. */
  outputs?: Record<string, ParameterValue>;
  /** What an abort of the controller does to the tasks that run. Default `abort`. */
  onAbort?: "abort" | "leave";
  /** The folder with the program, for `start`, `createDraft` and function steps. Default: the nearest with a package.json above the script. */
  code?: string;
}

/** What every kind of step can be told. Strings may hold `${…}`, but for names. */
export interface StepOptions extends StepHooks {
  name: string;
  description?: string;
  /** Steps that must have ended first; those whose results it uses are found by themselves. */
  parents?: string[];
  queue?: string;
  class?: QueueClass;
  /** By `Section/name`. */
  parameters?: Record<string, ParameterValue>;
  /** Whole objects, by name: parameters of section Configuration. */
  configuration?: Record<string, ParameterValue>;
  /** Parts of a `TaskSpec` over those of the template: maps deep, lists whole. */
  overrides?: { [K in keyof TaskSpec]?: unknown };
  /** Artifacts of other steps by their name in `$NAVVY_INPUTS`: `{ data: "${prep.artifacts.data}" }`. */
  inputs?: Record<string, string>;
  resources?: Partial<Resources>;
  /** The container's image. */
  image?: string;
  env?: Record<string, string>;
  /** True: a task that did the same before is taken in its place. `refresh`: run it, for those who come later. */
  cache?: boolean | "refresh";
  /** How often, or how in full. */
  retry?: number | { limit: number; backoffMs?: number; on?: Retry["on"] };
  /** On its queue. */
  waitLimitMs?: number;
  /** Running. */
  timeLimitMs?: number;
  onFailure?: OnFailure;
  /** `onFailure: "continue"` in the words of ClearML. */
  continueOnFail?: boolean;
  /** `onFailure: "skip_children"`. */
  skipChildrenOnFail?: boolean;
  /** Runs only if so: an expression without braces. */
  when?: string;
  /** One task for each combination. */
  matrix?: Record<string, ParameterValue>;
  maxParallel?: number;
  failFast?: boolean;
  /** Runs again until the expression holds, so often at most. */
  until?: { condition: string; limit: number };
  approve?: { who?: string[]; timeLimitMs?: number };
  /** A condition on its metrics: `loss.last > 10`. */
  earlyStop?: string;
  monitors?: { metrics?: string[]; artifacts?: string[]; models?: string[] };
  /** What it will report; then a slip in a reference is found before anything starts. */
  outputs?: string[];
  artifacts?: string[];
  tags?: string[];
  stage?: string;
}

/** A step that is a task: a clone of a template, or one given in place. */
export interface TaskStepOptions extends StepOptions {
  /** A task's id, name or `project/name`. */
  template?: string;
  /** Parts of a `TaskSpec`; `command` at least. */
  task?: { [K in keyof TaskSpec]?: unknown };
  /** Lines for `sh -c`, in place of a command: what is filled in is quoted. */
  script?: string;
  taskType?: string;
  /** Another pipeline, with its parameters. */
  pipeline?: { graph: NewGraph };
  with?: Record<string, ParameterValue>;
}

export type { CacheMode, Graph, GraphParameter };
