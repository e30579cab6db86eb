import type { Navvy } from "../../broker/index.js";
import { NavvyError, type ParameterValue, type TaskRecord } from "../../protocol/index.js";
import type { RunView, Scope, StepView } from "../expression/scope.js";
import { patiently } from "../patience.js";
import type { Member, StepRun } from "./step-run.js";

/** So many records of finished steps are held; others are read again. */
const HELD_RECORDS = 512;

/** And the views of so many matrices. */
const HELD_VIEWS = 4;

/** Artifacts that a task is to find among its inputs, by the name that they have there. */
export type WantedInputs = Map<string, { task: TaskRecord; artifact: string }>;

/** What a scope is for. */
export interface ScopeOf {
  /** The step that it is for; none: the pipeline itself, when all is over. */
  run?: StepRun;
  member?: Member;
  /** Its own task of the round before, for `until`. */
  own?: TaskRecord;
  inputs?: WantedInputs;
}

/** What expressions see of a run: its parameters and the steps that are over. */
export class Views {
  readonly #navvy: Navvy;
  readonly #steps: ReadonlyMap<string, StepRun>;
  readonly #params: Record<string, ParameterValue>;
  readonly #run: RunView;
  readonly #held = new Map<string, TaskRecord>();
  readonly #views = new Map<string, Promise<StepView>>();

  constructor(navvy: Navvy, parts: { steps: ReadonlyMap<string, StepRun>; params: Record<string, ParameterValue>; run: RunView }) {
    this.#navvy = navvy;
    this.#steps = parts.steps;
    this.#params = parts.params;
    this.#run = parts.run;
  }

  /** Keeps a record that was just read, for the steps that follow. */
  hold(record: TaskRecord): void {
    this.#held.delete(record.id);
    this.#held.set(record.id, record);
    if (this.#held.size > HELD_RECORDS) this.#held.delete(this.#held.keys().next().value ?? "");
  }

  /**
   * A scope in which the steps named can be asked.
   * @throws NavvyError not_found: a step's task was deleted
   */
  async scope(names: Iterable<string>, { run, member, own, inputs }: ScopeOf): Promise<Scope> {
    const views = new Map<string, StepView>();
    const parents = run?.parents ?? [];
    for (const name of names) {
      const step = this.#steps.get(name);
      if (step && step !== run) views.set(name, await this.#view(step));
    }
    if (run?.step.until && member) {
      const before = { name: run.name, matrix: member.matrix };
      views.set(run.name, own ? { ...before, state: "completed", task: own } : { ...before, state: "pending" });
    }
    return {
      params: this.#params,
      run: this.#run,
      ...(member?.matrix ? { matrix: member.matrix } : {}),
      round: member?.round ?? 1,
      step: (name) => views.get(name),
      status: { success: parents.every((parent) => !parent.isBroken), failure: parents.some((parent) => parent.isBroken) },
      pathOf: (view, artifact) => wanted(inputs, view, artifact),
      now: this.#run.startedAt,
    };
  }

  /** All members of a matrix may ask for all of another one: what is over is looked at once. */
  #view(step: StepRun): Promise<StepView> {
    const known = this.#views.get(step.name);
    if (known) return known;
    const view = this.#look(step);
    if (!step.isOver || !step.step.matrix) return view;
    this.#views.set(step.name, view);
    view.catch(() => this.#views.delete(step.name));
    if (this.#views.size > HELD_VIEWS) this.#views.delete(this.#views.keys().next().value ?? "");
    return view;
  }

  async #look(step: StepRun): Promise<StepView> {
    const views: StepView[] = [];
    for (const member of step.members) {
      const task = member.task === undefined ? undefined : await this.#record(member.task);
      views.push({ name: step.name, state: member.state, task, matrix: member.matrix });
    }
    if (step.step.matrix) return { name: step.name, state: step.state, members: views };
    return { name: step.name, state: step.state, task: views[0]?.task };
  }

  async #record(id: string): Promise<TaskRecord> {
    const held = this.#held.get(id);
    const record = held ?? (await patiently(() => this.#navvy.tasks.get(id)));
    this.hold(record);
    return record;
  }
}

/** The name under which a task finds an artifact of a step: the agent puts the path in its place. */
function wanted(inputs: WantedInputs | undefined, view: StepView, artifact: string): string {
  if (!inputs || !view.task) {
    throw new NavvyError(
      "invalid_argument",
      `the path of artifact ${artifact} of step ${view.name} is known only where a task is to find it`,
      {
        fix: "take its .url or .sha256 here, or use .path in the command, script, env or parameters of a step",
      },
    );
  }
  const plain = `${view.name}.${artifact}`.replace(/[^A-Za-z0-9._-]+/g, "_");
  let name = plain;
  for (let n = 2; isOther(inputs.get(name), view.task.id, artifact); n++) name = `${plain}.${n}`;
  inputs.set(name, { task: view.task, artifact });
  return `\${inputs.${name}}`;
}

function isOther(known: { task: TaskRecord; artifact: string } | undefined, task: string, artifact: string): boolean {
  return known !== undefined && (known.task.id !== task || known.artifact !== artifact);
}
