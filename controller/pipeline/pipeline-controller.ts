import { NavvyError, type ParameterValue, SERVICES_QUEUE } from "../../protocol/index.js";
import { task } from "../../task/index.js";
import { alive } from "../alive.js";
import { connection } from "../connection.js";
import type { Current } from "../current.js";
import { leaveProcess, stopping } from "../ending.js";
import { checkGraph } from "../graph/check.js";
import type { GraphParameter, NewGraph } from "../graph/graph.js";
import { draftOfProgram, say } from "../remote.js";
import type { WaitForOptions } from "../wait.js";
import type { StepHooks } from "./context.js";
import type { RunResult } from "./engine.js";
import { functionAsked, runFunction } from "./function-step.js";
import { type FunctionStepOptions, functionStep, headOfGraph, taskStep } from "./graph-of.js";
import { localQueue, startLocalAgent } from "./local-agent.js";
import type { PipelineOptions, StepOptions, TaskStepOptions } from "./options.js";
import { OwnProgram } from "./program.js";
import { type Going, runHere } from "./run-here.js";
import { PIPELINE_TAG, PipelineRun, type StepSummary } from "./runs.js";
import { startRun } from "./start-run.js";

/**
 * A pipeline that a program defines: steps with what each needs of the others. The program is the controller: `start()` sends it to a
 * queue, where it runs again from its top, comes to the same `start()`, and there runs the steps. Inside, nothing polls; what was done
 * stands in the controller's journal, so it goes on after its process, or its whole machine, was lost.
 */
export class PipelineController {
  readonly #options: PipelineOptions;
  readonly #steps: NewGraph["steps"] = [];
  readonly #finally: NewGraph["steps"] = [];
  readonly #parameters: NonNullable<NewGraph["parameters"]> = {};
  readonly #hooks = new Map<string, StepHooks>();
  readonly #functions = new Map<string, FunctionStepOptions>();
  #going: Going | undefined;
  #result: RunResult | undefined;
  #settling: Promise<void> | undefined;
  #remote: PipelineRun | undefined;
  #own: Current | undefined;
  #localAgent: AsyncDisposable | undefined;

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  /** A parameter of the pipeline: `${pipeline.NAME}`, `General/NAME` of its task. Without a default it must be given. */
  addParameter(name: string, parameter: Partial<GraphParameter> = {}): this {
    this.#parameters[name] = parameter;
    return this;
  }

  /** A step that runs a task: a clone of a template, one given in place, or another pipeline. @throws NavvyError invalid_argument */
  addStep(options: TaskStepOptions): this {
    this.#steps.push(taskStep(options));
    return this.#hooked(options);
  }

  /** A step that runs a function of this program, as a task of its own. @throws NavvyError invalid_argument: an argument can not be handed on */
  addFunctionStep(options: FunctionStepOptions): this {
    this.#steps.push(functionStep(options));
    this.#functions.set(options.name, options);
    return this.#hooked(options);
  }

  /** A step that runs when all others are over, whatever became of them. */
  addFinally(options: TaskStepOptions): this {
    this.#finally.push(taskStep(options));
    return this.#hooked(options);
  }

  /** The pipeline as data. */
  get graph(): NewGraph {
    const head = headOfGraph(this.#options);
    return {
      type: "navvy.pipeline.v1",
      ...head,
      name: this.#options.name,
      parameters: this.#parameters,
      steps: this.#steps,
      finally: this.#finally,
    };
  }

  /**
   * Starts it. By hand: sends the program to the queue, checked before. Inside navvy, where the program has been sent to: runs the steps,
   * in the background. In a process that was started for one function step: runs that, and ends the process.
   * @throws NavvyError invalid_argument: all that is wrong with the steps, before anything starts
   */
  async start(options: { queue?: string; parameters?: Record<string, ParameterValue> } = {}): Promise<this> {
    await this.#function();
    if (task.isInside) return this.#run();
    const draft = await this.createDraft(options.parameters);
    const queue = options.queue ?? SERVICES_QUEUE;
    this.#remote = await draft.enqueue(queue);
    await say(await connection(), draft.record, queue);
    return this;
  }

  /** Runs the controller in this process; the steps on their queues, or, with `runStepsLocally`, as processes of this machine. */
  async startLocally(options: { runStepsLocally?: boolean } = {}): Promise<this> {
    await this.#function();
    const queue = options.runStepsLocally ? localQueue() : undefined;
    if (queue !== undefined) this.#localAgent = await startLocalAgent(await connection(), queue);
    return this.#run(queue);
  }

  /** The controller's task as a draft: a template to be cloned, changed and sent. Its program is packed. */
  async createDraft(parameters: Record<string, ParameterValue> = {}): Promise<PipelineRun> {
    checkGraph(this.graph);
    const navvy = await connection();
    const { name, project = "default", tags = [] } = this.#options;
    const values = { General: { ...this.#defaults(), ...parameters } };
    const record = await alive(() =>
      draftOfProgram(navvy, { name, project, tags: [PIPELINE_TAG, ...tags], parameters: values }, this.#options.code),
    );
    return new PipelineRun(navvy, record);
  }

  /** A draft of a run or draft of before, with other parameters. */
  static async clone(reference: string, parameters: Record<string, ParameterValue> = {}): Promise<PipelineRun> {
    return (await PipelineController.get(reference)).clone(parameters);
  }

  /** A run by its controller's task. @throws NavvyError not_found, ambiguous */
  static async get(reference: string): Promise<PipelineRun> {
    return PipelineRun.get(await connection(), reference);
  }

  /** Id of the controller's task, once it is started. */
  get id(): string | undefined {
    return this.#own?.record.id ?? this.#remote?.id;
  }

  /**
   * Waits until it is over, however it ended; look at `isSuccessful` then. In the process that runs the steps a failure makes the
   * process's own end one.
   * @throws NavvyError aborted (this process was asked to end), timeout, illegal_move (it was not started)
   */
  async wait(options: WaitForOptions = {}): Promise<this> {
    if (this.#remote) await this.#remote.wait(options);
    else if (this.#going) await this.#settle(await within(this.#going.ended, options));
    else throw new NavvyError("illegal_move", `pipeline ${this.#options.name} was not started`, { fix: "await pipeline.start() before" });
    return this;
  }

  /** Begins nothing more and ends what runs. */
  async stop(reason = "the pipeline was stopped"): Promise<void> {
    this.#going?.engine.stop(reason);
    await this.#remote?.stop(reason);
  }

  isRunning(): boolean {
    if (this.#remote) return ["queued", "running"].includes(this.#remote.record.status);
    return this.#going !== undefined && this.#result === undefined;
  }

  isSuccessful(): boolean {
    return this.#remote ? this.#remote.record.status === "completed" : this.#result?.state === "completed";
  }

  /** The steps and how far they are. */
  async getSteps(): Promise<StepSummary[]> {
    const id = this.id;
    return id === undefined ? [] : (await PipelineController.get(id)).steps();
  }

  async #run(queue?: string): Promise<this> {
    const { name, project, tags = [], onAbort } = this.#options;
    const checked = checkGraph(this.graph);
    const navvy = await connection();
    const own = await startRun(navvy, {
      name,
      ...(project ? { project } : {}),
      tags: [PIPELINE_TAG, ...tags],
      parameters: this.#defaults(),
      onAbort: onAbort ?? "abort",
    });
    this.#own = own;
    const program = new OwnProgram(navvy, own.record, this.#options.code);
    this.#going = await runHere({ navvy, own, graph: checked, program, hooks: this.#hooks, queue, ...(onAbort ? { onAbort } : {}) });
    this.#going.ended.then(
      (result) => this.#settle(result),
      (error: unknown) => this.#failed(error),
    );
    return this;
  }

  /** A run that could not be seen to its end is no success, whether or not the program waits for it. */
  #failed(error: unknown): void {
    if (stopping.aborted) return;
    process.stderr.write(`navvy: pipeline ${this.#options.name} can not go on: ${(error as Error).message}\n`);
    process.exitCode ||= 1;
  }

  #settle(result: RunResult): Promise<void> {
    return (this.#settling ??= this.#settleOnce(result));
  }

  async #settleOnce(result: RunResult): Promise<void> {
    this.#result = result;
    await this.#localAgent?.[Symbol.asyncDispose]();
    if (result.state !== "completed") process.stderr.write(`navvy: ${failureText(this.#options.name, result)}\n`);
    const code = result.state === "completed" ? 0 : 1;
    await this.#own?.local?.settle(result.state === "aborted" ? { kind: "aborted" } : { kind: "exited", code });
    if (result.state === "completed") return;
    process.exitCode = 1;
  }

  /** In a process that is there for one function step, `start()` is where it ends. */
  async #function(): Promise<void> {
    const name = functionAsked();
    if (name === undefined) return;
    await runFunction(name, this.#functions);
    await leaveProcess();
  }

  #defaults(): Record<string, ParameterValue> {
    const values: Record<string, ParameterValue> = {};
    for (const [name, { default: value }] of Object.entries(this.#parameters))
      if (value !== undefined) values[name] = value as ParameterValue;
    return values;
  }

  #hooked({ name, preExecute, postExecute, onStatusChange }: StepOptions): this {
    const hooks = {
      ...(preExecute ? { preExecute } : {}),
      ...(postExecute ? { postExecute } : {}),
      ...(onStatusChange ? { onStatusChange } : {}),
    };
    if (Object.keys(hooks).length > 0) this.#hooks.set(name, hooks);
    return this;
  }
}

/** What failed, in one sentence a step. */
export function failureText(name: string, { state, failures }: RunResult): string {
  const lines = failures.map(({ step, state: how, reason }) => `  ${step ? `step ${step} ${how}` : how}${reason ? `: ${reason}` : ""}`);
  return [`pipeline ${name} ${state}`, ...lines].join("\n");
}

async function within<T>(work: Promise<T>, { timeoutMs, signal }: WaitForOptions): Promise<T> {
  if (timeoutMs === undefined && !signal) return work;
  let timer: NodeJS.Timeout | undefined;
  const cut = new Promise<never>((_resolve, reject) => {
    if (timeoutMs !== undefined)
      timer = setTimeout(() => reject(new NavvyError("timeout", `the pipeline was not over after ${timeoutMs} ms; it goes on`)), timeoutMs);
    signal?.addEventListener("abort", () => reject(new NavvyError("aborted", "stopped waiting for the pipeline")), { once: true });
  });
  return Promise.race([work, cut]).finally(() => clearTimeout(timer));
}
