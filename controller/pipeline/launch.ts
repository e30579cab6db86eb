import { type EnqueueOptions, inputRefOf, type Navvy, type NewTask } from "../../broker/index.js";
import {
  type ArtifactRef,
  type InputRef,
  NavvyError,
  type ParameterValue,
  SERVICES_QUEUE,
  type TaskRecord,
  TaskSpec,
} from "../../protocol/index.js";
import { evaluate, fill, fillScript, parseExpression } from "../expression/index.js";
import type { Scope } from "../expression/scope.js";
import type { Graph, Step } from "../graph/graph.js";
import { patiently } from "../patience.js";
import { CONTROLLER_LOST_LIMIT } from "../remote.js";
import { merged } from "./merged.js";
import { graphInput, type OwnProgram } from "./program.js";
import type { Member, StepRun } from "./step-run.js";
import type { Views, WantedInputs } from "./views.js";

/** A task that is ready to be sent. */
export interface Child {
  task: NewTask;
  template?: TaskRecord;
  options: EnqueueOptions;
}

/** Whose task it is to be; `own`: of the round before. */
export interface ChildOf {
  run: StepRun;
  member: Member;
  own?: TaskRecord;
}

interface Parts {
  navvy: Navvy;
  /** The controller's own task. */
  own: TaskRecord;
  graph: Graph;
  views: Views;
  /** The controller's program, for steps that are functions of it. */
  program: OwnProgram;
  /** In place of every step's queue. */
  queue?: string | undefined;
}

/** Makes the tasks of steps out of what the graph says and what the steps before them have left. */
export class Launcher {
  readonly #parts: Parts;
  readonly #templates = new Map<string, Promise<TaskRecord>>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * The task of a step's member, with everything filled in.
   * @throws NavvyError invalid_argument (an expression that can not be answered), not_found (a template, an artifact)
   */
  async child({ run, member, own: before }: ChildOf, uses: Iterable<string>): Promise<Child> {
    const { graph, views, own } = this.#parts;
    const { step } = run;
    const inputs: WantedInputs = new Map();
    const scope = await views.scope(uses, { run, member, inputs, ...(before ? { own: before } : {}) });
    const action = await this.#action(step, scope);
    const overrides = fill(step.overrides, scope) as Partial<TaskSpec>;
    const limit = step.timeLimitMs === undefined || step.action.kind === "pipeline" ? {} : { timeLimitMs: step.timeLimitMs };
    const spec = specOf(step, merged(merged(action.template?.spec ?? {}, action.spec), overrides, limit));
    const parameters = fill(step.parameters, scope) as Record<string, ParameterValue>;
    const queue = step.queue === undefined ? undefined : textOf(fill(step.queue, scope));
    const explicit = this.#explicit(step, scope, inputs);
    return {
      ...(action.template ? { template: action.template } : {}),
      task: {
        name: member.matrix ? `${step.name}[${combination(member.matrix)}]` : step.name,
        project: graph.project,
        taskType: action.taskType,
        tags: [...graph.tags, ...step.tags],
        parent: own.id,
        spec: { ...spec, inputs: { ...spec.inputs, ...explicit, ...inputRefs(inputs) } },
        parameters: { ...action.parameters, ...parameters },
      },
      options: {
        // A pipeline's controller needs a slot that lets it drive tasks: no queue of plain ones will do.
        queue: action.queue ? (queue ?? action.queue) : (this.#parts.queue ?? queue ?? graph.queue),
        ...(step.class ? { class: step.class } : {}),
      },
    };
  }

  /** @throws NavvyError not_found, ambiguous */
  template(reference: string): Promise<TaskRecord> {
    const known = this.#templates.get(reference) ?? patiently(() => this.#parts.navvy.tasks.get(reference));
    this.#templates.set(reference, known);
    known.catch(() => this.#templates.delete(reference));
    return known;
  }

  async #action(step: Step, scope: Scope): Promise<Action> {
    const { action } = step;
    switch (action.kind) {
      case "template": {
        const template = await this.template(textOf(fill(action.task, scope)));
        return { template, taskType: template.taskType, spec: {} };
      }
      case "task": {
        const spec = fill(action.spec, scope) as Partial<TaskSpec>;
        const shell = action.script === undefined ? {} : { command: ["sh", "-c", fillScript(action.script, scope)] };
        return { taskType: action.taskType ?? "training", spec: { ...spec, ...shell } };
      }
      case "function": {
        const values = Object.entries(fill(action.arguments, scope) as Record<string, ParameterValue>);
        const spec = await this.#parts.program.functionSpec(step.name);
        return { taskType: "custom", spec, parameters: Object.fromEntries(values.map(([name, value]) => [`Function/${name}`, value])) };
      }
      case "pipeline": {
        const values = Object.entries(fill(action.with, scope) as Record<string, ParameterValue>);
        // Its limit is the pipeline's own: at the end of that it ends what it runs.
        const limits = [step.timeLimitMs, action.pipeline.timeLimitMs].filter((limit) => limit !== undefined);
        const pipeline = limits.length > 0 ? { ...action.pipeline, timeLimitMs: Math.min(...limits) } : action.pipeline;
        const input = await graphInput(this.#parts.navvy, pipeline);
        return {
          taskType: "controller",
          spec: { command: ["navvy", "pipeline", "execute"], inputs: input, lostLimit: CONTROLLER_LOST_LIMIT },
          queue: SERVICES_QUEUE,
          parameters: Object.fromEntries(values.map(([name, value]) => [`General/${name}`, value])),
        };
      }
    }
  }

  /** What the step names as its inputs: under its own names, whatever paths say. */
  #explicit(step: Step, scope: Scope, inputs: WantedInputs): Record<string, InputRef> {
    const refs: Record<string, InputRef> = {};
    for (const [name, source] of Object.entries(step.inputs)) {
      const before = new Set(inputs.keys());
      evaluate(parseExpression(`(${source}).path`), scope);
      for (const [found, { task, artifact }] of inputs) {
        if (!before.has(found)) inputs.delete(found);
        refs[name] = refOf(task, artifact);
      }
    }
    return refs;
  }
}

/** Words and variables are text, whatever was filled in. @throws NavvyError invalid_argument: it makes no task */
function specOf(step: Step, filled: { [key: string]: unknown }): TaskSpec {
  const { command = [], env = {}, ...rest } = filled as { command?: unknown[]; env?: object };
  const words = Array.isArray(command) ? command.map(textOf) : command;
  const variables = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, textOf(value)]));
  const parsed = TaskSpec.safeParse({ ...rest, command: words, env: variables });
  if (parsed.success) {
    const { timeLimitMs = Number.POSITIVE_INFINITY, graceMs } = parsed.data;
    return { ...parsed.data, graceMs: Math.min(graceMs, timeLimitMs) };
  }
  const [issue] = parsed.error.issues;
  throw new NavvyError("invalid_argument", `step ${step.name} makes no task: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "wrong"}`);
}

const textOf = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

interface Action {
  template?: TaskRecord;
  taskType: string;
  spec: Partial<TaskSpec>;
  queue?: string;
  parameters?: Record<string, ParameterValue>;
}

function inputRefs(inputs: WantedInputs): Record<string, InputRef> {
  return Object.fromEntries([...inputs].map(([name, { task, artifact }]) => [name, refOf(task, artifact)]));
}

/** @throws NavvyError not_found: the task left no such artifact */
function refOf(task: TaskRecord, name: string): InputRef {
  const ref: ArtifactRef | undefined = task.reported.artifacts.find((each) => each.name === name);
  if (ref) return inputRefOf(ref, task.id);
  const left = task.reported.artifacts.map((each) => each.name).join(", ");
  throw new NavvyError("not_found", `step ${task.name} left no artifact ${JSON.stringify(name)}`, {
    why: `task ${task.id} left: ${left || "none"}`,
    fix: `write it to $NAVVY_ARTIFACTS/${name} there`,
  });
}

const MAX_COMBINATION = 80;

function combination(matrix: Record<string, ParameterValue>): string {
  const words = Object.entries(matrix).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return words.join(",").slice(0, MAX_COMBINATION);
}
