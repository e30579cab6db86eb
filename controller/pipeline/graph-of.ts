import { NavvyError, type ParameterValue } from "../../protocol/index.js";
import type { NewGraph } from "../graph/graph.js";
import { defined } from "../options.js";
import type { PipelineOptions, StepOptions, TaskStepOptions } from "./options.js";
import { jsonOf } from "./program.js";

type NewStep = NewGraph["steps"][number];

/** A function of the program as a step: it gets its arguments by name and returns its results by name. */
export interface FunctionStepOptions extends StepOptions {
  function: (args: never) => unknown;
  /** Templates, or what JSON can say. */
  arguments?: Record<string, ParameterValue>;
  /** Names of what it returns: each becomes an artifact, and an output where it is short. */
  returns?: string[];
}

/** @throws NavvyError invalid_argument: it names nothing to run, or more than one thing */
export function taskStep(options: TaskStepOptions): NewStep {
  const { template, task, script, pipeline } = options;
  const given = Object.entries({ template, "task or script": task ?? script, pipeline }).filter(([, value]) => value !== undefined);
  if (given.length !== 1) {
    throw new NavvyError("invalid_argument", `step ${options.name} has ${given.length === 0 ? "nothing" : "more than one thing"} to run`, {
      why:
        given.length === 0 ? "a step is a template, a task, a script or a pipeline" : `it has: ${given.map(([name]) => name).join(", ")}`,
      fix: 'give one of them: { template: "project/name" }, { task: { command: [...] } }, { script: "..." }, { pipeline }',
    });
  }
  return { ...common(options), action: actionOf(options) };
}

function actionOf({ template, task = {}, script, taskType, pipeline, with: values = {} }: TaskStepOptions): NewStep["action"] {
  if (template !== undefined) return { kind: "template", task: template };
  if (pipeline) return { kind: "pipeline", pipeline: pipeline.graph as never, with: values };
  return {
    kind: "task",
    spec: task as Record<string, ParameterValue>,
    ...(script === undefined ? {} : { script }),
    ...(taskType === undefined ? {} : { taskType }),
  };
}

/** @throws NavvyError invalid_argument: an argument can not be handed to another process */
export function functionStep(options: FunctionStepOptions): NewStep {
  const { name, arguments: given = {}, returns = [] } = options;
  for (const [argument, value] of Object.entries(given)) checkPlain(`argument ${argument} of step ${name}`, value);
  const outputs = options.outputs ?? returns;
  const artifacts = options.artifacts ?? returns;
  return { ...common(options), outputs, artifacts, action: { kind: "function", arguments: given, returns } };
}

/** What comes back from JSON as it went in. @throws NavvyError invalid_argument */
function checkPlain(what: string, value: unknown): void {
  const text = jsonOf(what, value);
  const isPlain = typeof value !== "object" || value === null || Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
  if (!isPlain) {
    throw new NavvyError("invalid_argument", `${what} can not be handed to another process`, {
      why: `it is a ${(value as object).constructor?.name ?? "special object"}, and would arrive as ${text.slice(0, 60)}`,
      fix: "use numbers, text, lists and plain maps of these",
    });
  }
  if (typeof value === "object" && value !== null) for (const [key, each] of Object.entries(value)) checkPlain(`${what} (${key})`, each);
}

function common(options: StepOptions): Omit<NewStep, "action"> {
  const { name, description, stage, parents, queue, matrix, maxParallel, failFast, until, when, approve, earlyStop, monitors, tags } =
    options;
  const { outputs, artifacts, waitLimitMs, timeLimitMs, class: queueClass } = options;
  const hooks = (["preExecute", "postExecute", "onStatusChange"] as const).filter((hook) => options[hook] !== undefined);
  return defined({
    name,
    description,
    stage,
    parents,
    queue,
    class: queueClass,
    matrix,
    maxParallel,
    failFast,
    until,
    when,
    approve,
    earlyStop,
    monitors,
    tags,
    outputs,
    artifacts,
    waitLimitMs,
    timeLimitMs,
    callbacks: [...hooks],
    parameters: { ...options.parameters, ...sectioned("Configuration", options.configuration ?? {}) },
    overrides: overridesOf(options),
    inputs: Object.fromEntries(Object.entries(options.inputs ?? {}).map(([input, source]) => [input, bare(source)])),
    retry: retryOf(options.retry),
    onFailure: options.onFailure ?? (options.continueOnFail ? "continue" : options.skipChildrenOnFail ? "skip_children" : "stop"),
    cache: options.cache === "refresh" ? "refresh" : options.cache ? "use" : "off",
  }) as Omit<NewStep, "action">;
}

function overridesOf({ overrides = {}, resources, image, env }: StepOptions): Record<string, ParameterValue> {
  const more = defined({ resources, container: image === undefined ? undefined : { image }, env });
  return { ...overrides, ...more } as Record<string, ParameterValue>;
}

function retryOf(retry: StepOptions["retry"]): NewStep["retry"] {
  return typeof retry === "number" ? { limit: retry } : (retry as NewStep["retry"]);
}

/** An expression with or without its braces. */
function bare(source: string): string {
  return /^\$\{(.*)\}$/s.exec(source)?.[1] ?? source;
}

function sectioned(section: string, values: Record<string, ParameterValue>): Record<string, ParameterValue> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${section}/${name}`, value]));
}

/** The head of a graph. */
export function headOfGraph(options: PipelineOptions): Omit<NewGraph, "steps" | "type"> {
  const { name, project, version, description, tags, queue, timeLimitMs, abortOnFailure, concurrency, outputs } = options;
  return defined({ name, project, version, description, tags, queue, timeLimitMs, abortOnFailure, concurrency, outputs }) as Omit<
    NewGraph,
    "steps" | "type"
  >;
}
