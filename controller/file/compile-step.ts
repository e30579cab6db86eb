import type { z } from "zod";
import { DEFAULT_QUEUE, SERVICES_QUEUE } from "../../protocol/index.js";
import type { NewGraph, Retry, Step } from "../graph/index.js";
import { joined, listed, said, specOf, times, type Wrong } from "./compile-spec.js";
import { type FileCode, type FileSettings, type FileStep, type PipelineFile, Settings } from "./schema.js";

export type NewStep = NewGraph["steps"][number];

/** A step of a file and all it takes from around it. */
export interface StepSource {
  name: string;
  step: FileStep;
  file: PipelineFile;
  /** Its pipeline, where it uses one that could be read. */
  pipeline?: NewGraph | undefined;
  place: string;
  wrong: Wrong;
}

/** What a step is compiled to, and the code that its task runs in. */
export interface CompiledStep {
  step: NewStep;
  code?: FileCode | undefined;
}

/** Of the settings those that say when and where a task runs, whatever it is. */
const SCHEDULE = ["queue", "class", "timeout", "wait_timeout", "retry", "cache", "on_failure", "tags"] as const;
/** What a pipeline as a step has of them when nothing is said at the step itself. */
const OF_PIPELINES = ["on_failure", "tags"] as const;
const NOT_FOR_PIPELINES = ["params", "inputs", "type", "early_stop"] as const;

export function compileStep(source: StepSource): CompiledStep {
  const { name, step, place, wrong } = source;
  const settings = settingsOf(source);
  const { action, overrides } = actionOf(source, settings);
  const { queue, cache, retry, tags, timeout, wait_timeout, on_failure } = settings;
  return {
    code: step.run === undefined ? undefined : settings.code,
    step: {
      name,
      action,
      ...(said({
        description: step.description,
        stage: step.stage,
        parents: listed(step.needs),
        queue: queueOf(source, queue),
        class: settings.class,
        parameters:
          step.params &&
          Object.fromEntries(Object.entries(step.params).map(([key, value]) => [key.includes("/") ? key : `General/${key}`, value])),
        overrides,
        inputs: step.inputs && Object.fromEntries(Object.entries(step.inputs).map(([key, value]) => [key, bare(value)])),
        outputs: step.outputs,
        artifacts: step.artifacts,
        when: step.when === undefined ? undefined : bare(String(step.when)),
        matrix: step.matrix,
        maxParallel: step.max_parallel,
        failFast: step.fail_fast,
        until: step.until && { condition: bare(step.until.condition), limit: step.until.limit },
        retry: retryOf(retry),
        waitLimitMs: positive(wait_timeout, "wait_timeout", wrong),
        timeLimitMs: positive(timeout, "timeout", wrong),
        onFailure: on_failure,
        cache: cache === undefined ? undefined : cache === "refresh" ? "refresh" : cache ? "use" : "off",
        approve: approvalOf(step.approve),
        earlyStop: step.early_stop,
        monitors: monitorsOf(source),
        tags,
        place,
      }) as Partial<Step>),
    },
  };
}

function settingsOf({ step, file }: StepSource): FileSettings {
  const own = pick(step, Object.keys(Settings.shape) as (keyof FileSettings)[]);
  const { defaults = {} } = file;
  if (step.uses !== undefined) return joined(pick(defaults, OF_PIPELINES), own);
  if (step.task !== undefined) return joined(pick(defaults, SCHEDULE), own);
  return joined({ env: file.env, secrets: file.secrets, code: file.code }, defaults, own);
}

function pick(of: FileSettings, keys: readonly (keyof FileSettings)[]): FileSettings {
  return Object.fromEntries(keys.flatMap((key) => (of[key] === undefined ? [] : [[key, of[key]]])));
}

/** The default is the graph's, but for one that is filled in; a pipeline's controller waits where controllers do. */
function queueOf({ step, file }: StepSource, queue: string | undefined): string | undefined {
  if (step.uses !== undefined) return step.queue ?? SERVICES_QUEUE;
  return step.queue ?? (file.defaults?.queue?.includes("${") ? queue : undefined);
}

/** Where steps go that name none. */
export function graphQueueOf({ defaults }: PipelineFile): string {
  const queue = defaults?.queue;
  return queue === undefined || queue.includes("${") ? DEFAULT_QUEUE : queue;
}

function actionOf(source: StepSource, settings: FileSettings): { action: NewStep["action"]; overrides?: NewStep["overrides"] } {
  const { step, pipeline, wrong } = source;
  const given = (["run", "task", "uses"] as const).filter((key) => step[key] !== undefined);
  if (given.length > 1) wrong([given[1]!], `a step is one of run, task and uses; this one is ${given.join(" and ")}`);
  if (given.length === 0) wrong([], "there is nothing to run: it has neither run, task nor uses", "run: echo hello");
  if (step.with !== undefined && step.uses === undefined)
    wrong(["with"], "with is for a step that uses a pipeline; a task has params", "params");
  if (step.task !== undefined) {
    if (step.type !== undefined) wrong(["type"], "a task that is cloned has a type already");
    if (step.code !== undefined) wrong(["code"], "a task that is cloned has code already");
    return { action: { kind: "template", task: step.task }, overrides: specOf(settings, wrong) };
  }
  if (step.uses !== undefined) {
    const own = new Set<string>(SCHEDULE);
    for (const key of [...NOT_FOR_PIPELINES, ...Object.keys(Settings.shape)])
      if (step[key as keyof FileStep] !== undefined && !own.has(key))
        wrong([key], `${key} is for a task, and this step is a pipeline: its own steps have them`);
    if (pipeline) return { action: { kind: "pipeline", pipeline: pipeline as never, with: step.with ?? {} } };
  }
  // What could not be read has been told: the rest is looked at as if it were there.
  if (step.run === undefined) return { action: { kind: "task", spec: {}, script: "true" } };
  const { code } = settings;
  if (code && "repo" in code && isCheckout(code.repo) && (code.commit !== undefined || (code.ref !== undefined && code.ref !== "HEAD")))
    wrong(
      ["code"],
      `repo ${code.repo} is a checkout, and what is checked out there is taken: for another ref name the repository's URL`,
      "ref: HEAD",
    );
  if (code && "repo" in code && !isCheckout(code.repo) && code.diff === "include")
    wrong(["code"], "a diff is of a checkout here; of a repository's URL there is none", "repo: .");
  const spec = specOf(settings, wrong);
  const type = step.type === undefined ? {} : { taskType: step.type };
  if (typeof step.run === "string") return { action: { kind: "task", spec, script: step.run, ...type } };
  return { action: { kind: "task", spec: { command: (step.run ?? []).map(String), ...spec }, ...type } };
}

/** A folder here, seen from the file; else it is as git takes it. */
export const isCheckout = (repo: string) => /^(?:\.{1,2}$|\.{0,2}\/)/.test(repo);

/** An expression by itself may be written with its braces too. */
export function bare(text: string): string {
  const inner = /^\s*\$\{([^{}]*)\}\s*$/.exec(text)?.[1];
  return inner ?? text;
}

function retryOf(retry: FileSettings["retry"]): z.input<typeof Retry> | undefined {
  if (retry === undefined || typeof retry === "number") return retry === undefined ? undefined : { limit: retry };
  const backoffMs = times(retry.backoff);
  return { limit: retry.max, ...(retry.on ? { on: retry.on } : {}), ...(backoffMs === undefined ? {} : { backoffMs }) };
}

function positive(given: string | number | undefined, key: string, wrong: Wrong): number | undefined {
  const ms = times(given);
  if (ms !== 0) return ms;
  wrong([key], "no time at all is no limit: leave it out for none");
  return undefined;
}

function approvalOf(approve: FileStep["approve"]): NewStep["approve"] {
  if (approve === undefined || approve === true) return approve && {};
  const timeLimitMs = times(approve.timeout);
  return { who: listed(approve.who) ?? [], ...(timeLimitMs === undefined ? {} : { timeLimitMs }) };
}

/** Its own, and what the pipeline names as `step.name`. */
function monitorsOf({ name, step, file }: StepSource): NewStep["monitors"] {
  const kinds = ["metrics", "artifacts", "models"] as const;
  const all = kinds.map((kind) => {
    const named = (file.monitor?.[kind] ?? []).filter((each) => each.startsWith(`${name}.`)).map((each) => each.slice(name.length + 1));
    return [kind, [...(step.monitor?.[kind] ?? []), ...named]] as const;
  });
  return all.some(([, names]) => names.length > 0) ? Object.fromEntries(all) : undefined;
}
