import { setMaxListeners } from "node:events";
import type { Navvy } from "../../broker/index.js";
import type { ParameterValue, TaskRecord } from "../../protocol/index.js";
import { fill, referencesIn } from "../expression/index.js";
import type { RunView } from "../expression/scope.js";
import type { CheckedGraph } from "../graph/check.js";
import type { StepState } from "../graph/step-state.js";
import { patiently } from "../patience.js";
import type { Report } from "../report.js";
import { Activity } from "./activity.js";
import { Children } from "./children.js";
import type { Context, StepHooks } from "./context.js";
import { Gate } from "./gate.js";
import { Launcher } from "./launch.js";
import { KEYS, Notebook } from "./notebook.js";
import { planOf } from "./plan.js";
import type { OwnProgram } from "./program.js";
import { runNumber } from "./run-number.js";
import { RunSteps } from "./run-steps.js";
import { ServedCheck } from "./served-check.js";
import { StepCache } from "./step-cache.js";
import type { StepRun } from "./step-run.js";
import { Views } from "./views.js";

/** So many tasks are made at the same time. */
const LAUNCHES_AT_ONCE = 32;

/** What a run of a pipeline needs. */
export interface EngineParts {
  navvy: Navvy;
  /** The controller's own task. */
  own: { record: TaskRecord; report: Report };
  graph: CheckedGraph;
  params: Record<string, ParameterValue>;
  program: OwnProgram;
  hooks?: ReadonlyMap<string, StepHooks>;
  /** In place of every step's queue. */
  queue?: string | undefined;
}

/** How a run came out. */
export interface RunResult {
  state: "completed" | "failed" | "aborted";
  /** Of a failure: the steps that made it one, with their reasons. */
  failures: { step: string; state: StepState; reason: string | undefined }[];
  outputs: Record<string, ParameterValue>;
}

/**
 * Runs a graph as the controller whose task this process is. What was done stands in its journal and in the records of its children, so
 * it may end anywhere and go on in another process.
 */
export class Engine {
  readonly #context: Context;
  readonly #stop: AbortController;
  readonly #run: RunView;
  readonly #listening: { close(): void };
  readonly #served: ServedCheck;
  #over = 0;

  private constructor(parts: EngineParts, opened: { context: Context; stop: AbortController; run: RunView; listening: { close(): void } }) {
    this.#context = opened.context;
    this.#stop = opened.stop;
    this.#run = opened.run;
    this.#listening = opened.listening;
    this.#served = new ServedCheck(parts.navvy, parts.own.report);
  }

  /** Reads what an earlier process of this run has done. */
  static async open(parts: EngineParts): Promise<Engine> {
    const { navvy, own, graph } = parts;
    const journal = navvy.journals.of(own.record.id);
    const notebook = new Notebook(journal, await patiently(() => journal.entries()));
    const listening = await patiently(() => journal.watch((noted) => notebook.heard(noted)));
    const run = await beginning(parts, notebook);
    const plan = planOf(graph);
    const views = new Views(navvy, { steps: plan.steps, params: parts.params, run });
    const stop = new AbortController();
    setMaxListeners(0, stop.signal); // every step that runs listens
    const children = new Children(navvy, own.record.id);
    const { timeLimitMs } = graph.graph;
    const until = timeLimitMs === undefined ? undefined : new Date(overAt(run, timeLimitMs)).toISOString();
    const context: Context = {
      navvy,
      own,
      plan,
      notebook,
      views,
      launcher: new Launcher({ navvy, own: own.record, graph: graph.graph, views, program: parts.program, queue: parts.queue }),
      children,
      activity: new Activity(() => children.awaited, { until, tidies: graph.graph.finally.length > 0 }),
      cache: new StepCache(navvy, { notebook, pipeline: `${graph.graph.project}/${graph.graph.name}` }),
      gate: new Gate(LAUNCHES_AT_ONCE),
      hooks: parts.hooks ?? new Map(),
      round: Number(notebook.get("round")?.value ?? 0),
      stop: stop.signal,
    };
    return new Engine(parts, { context, stop, run, listening });
  }

  get steps(): ReadonlyMap<string, StepRun> {
    return this.#context.plan.steps;
  }
  get run(): RunView {
    return this.#run;
  }
  /** Whether it only waits, and for what. */
  get activity(): Activity {
    return this.#context.activity;
  }

  /** Ids of the tasks that it waits for. */
  get awaited(): string[] {
    return this.#context.children.awaited;
  }

  /** Begins nothing more and ends what runs. */
  stop(reason: string): void {
    if (!this.#stop.signal.aborted) this.#stop.abort(new Error(reason));
  }

  /** Runs all steps, then those that come at the end whatever became of the others. When it rejects, `close` is the caller's. */
  async toEnd(): Promise<RunResult> {
    const { graph } = this.#context.plan;
    const limit = this.#timeLimit(graph.timeLimitMs);
    try {
      const steps = [...this.steps.values()];
      // Of a run that goes on, what was made needs no template any more.
      if (!this.#context.notebook.isResumed) await this.#launchable();
      await new RunSteps(
        this.#context,
        steps.filter((run) => !run.isFinally),
        (run) => this.#told(run),
      ).toEnd();
      clearTimeout(limit);
      const last: Context = { ...this.#context, stop: new AbortController().signal };
      await new RunSteps(
        last,
        steps.filter((run) => run.isFinally),
        (run) => this.#told(run),
      ).toEnd();
      const result = await this.#result(steps);
      this.close();
      return result;
    } finally {
      clearTimeout(limit);
    }
  }

  /** Lets go of the run; its tasks go on. */
  close(): void {
    this.#served.close();
    this.#listening.close();
    this.#context.children.close();
  }

  /** Counts from the first process of the run. */
  #timeLimit(limitMs: number | undefined): NodeJS.Timeout | undefined {
    if (limitMs === undefined) return undefined;
    const leftMs = Math.max(0, overAt(this.#run, limitMs) - Date.now());
    return setTimeout(() => this.stop(`the pipeline took longer than ${limitMs / 1000} s`), Math.min(leftMs, 2 ** 31 - 1));
  }

  /** A template that is not there is told before anything starts. @throws NavvyError not_found, ambiguous */
  async #launchable(): Promise<void> {
    const { plan, launcher } = this.#context;
    const references = new Set<string>();
    for (const { step } of plan.steps.values())
      if (step.action.kind === "template" && !step.action.task.includes("${")) references.add(step.action.task);
    await Promise.all([...references].map((reference) => launcher.template(reference)));
  }

  #told(run: StepRun): void {
    const { own, plan } = this.#context;
    if (run.state === "queued") this.#served.see(run);
    if (!run.isOver) return;
    this.#over++;
    own.report.progress(this.#over, plan.steps.size, "steps");
    if (run.failsPipeline) own.report.note("error", `step ${run.name} ${run.state}${run.reason ? `: ${run.reason}` : ""}`);
    if (run.failsPipeline && plan.graph.abortOnFailure) this.stop(`step ${run.name} ${run.state}`);
  }

  async #result(steps: StepRun[]): Promise<RunResult> {
    const { plan, views } = this.#context;
    const failures = steps.filter((run) => run.failsPipeline).map(({ name: step, state, reason }) => ({ step, state, reason }));
    const state = failures.length > 0 ? "failed" : this.#stop.signal.aborted ? "aborted" : "completed";
    if (this.#stop.signal.aborted && failures.length === 0)
      failures.push({ step: "", state: "aborted", reason: (this.#stop.signal.reason as Error).message });
    if (state !== "completed" || Object.keys(plan.graph.outputs).length === 0) return { state, failures, outputs: {} };
    const scope = await views.scope(new Set(referencesIn(plan.graph.outputs).flatMap(({ step }) => step ?? [])), {});
    return { state, failures, outputs: fill(plan.graph.outputs, scope) as Record<string, ParameterValue> };
  }
}

/** When a run's time is up, epoch milliseconds. */
function overAt({ limitFrom, startedAt }: RunView, limitMs: number): number {
  return Date.parse(limitFrom ?? startedAt) + limitMs;
}

/** Number and start of the run: settled once, by its first process. */
async function beginning({ own, graph, navvy }: EngineParts, notebook: Notebook): Promise<RunView> {
  const { name, project, version } = graph.graph;
  await notebook.set(KEYS.graph, graph.graph as unknown as ParameterValue);
  const begun = await notebook.once(KEYS.run, async () => {
    return { number: await runNumber(navvy, { name, project }), startedAt: new Date().toISOString(), version };
  });
  return { id: own.record.id, name, project, ...(begun as Pick<RunView, "number" | "startedAt" | "version" | "limitFrom">) };
}
