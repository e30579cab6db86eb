import { setMaxListeners } from "node:events";
import { isNavvyError, type ParameterValue } from "../../protocol/index.js";
import { evaluate, fill, parseExpression, usesStatus } from "../expression/index.js";
import type { StepState } from "../graph/step-state.js";
import { approved } from "./approval.js";
import { type Context, hooked } from "./context.js";
import { Gate } from "./gate.js";
import { combinations } from "./matrix.js";
import { MemberRun } from "./member-run.js";
import { type Member, type StepRun, stateOfMembers } from "./step-run.js";

/**
 * Runs steps in the order that their parents allow, until all of them are over. Each starts when the last of its parents has ended;
 * nothing polls, and the work for each does not grow with their number.
 */
export class RunSteps {
  readonly #context: Context;
  readonly #steps: StepRun[];
  readonly #onStep: (run: StepRun) => void;
  #left: number;
  #resolve = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(context: Context, steps: StepRun[], onStep: (run: StepRun) => void) {
    this.#context = context;
    this.#steps = steps;
    this.#onStep = onStep;
    this.#left = steps.length;
  }

  /** @throws what a hook throws, and what keeps the journal from being written */
  toEnd(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      if (this.#left === 0) resolve();
      for (const run of this.#steps) if (run.open === 0) this.#begin(run);
    });
  }

  #begin(run: StepRun): void {
    this.#context.activity
      .part(() => this.#run(run))
      .then(
        () => this.#ended(run),
        (error: unknown) => this.#reject(error),
      );
  }

  #ended(run: StepRun): void {
    this.#left--;
    this.#onStep(run);
    for (const child of run.children) if (--child.open === 0) this.#begin(child);
    if (this.#left === 0) this.#resolve();
  }

  async #run(run: StepRun): Promise<void> {
    try {
      const why = await this.#skipped(run);
      if (why) return await this.#skip(run, why);
      const before = this.#context.notebook.ended(run.name);
      // Refused, or failed as a whole: it never came to its members.
      if (before && run.step.matrix && before.state !== "skipped") return this.#end(run, before.state, before.reason);
      const refused = before ? undefined : await this.#approval(run);
      if (refused !== undefined) return await this.#endWithout(run, this.#context.stop.aborted ? "aborted" : "failed", refused);
      run.members = await this.#membersOf(run);
      await this.#runMembers(run);
      const { state, reason } = stateOfMembers(run.members);
      this.#end(run, state, reason);
    } catch (error) {
      if (!isNavvyError(error)) throw error;
      await this.#endWithout(run, "failed", error.why === undefined ? error.message : `${error.message}: ${error.why}`);
    }
  }

  /** Why a step is not to run, if so. @throws NavvyError: its condition can not be answered */
  async #skipped(run: StepRun): Promise<string | undefined> {
    const { stop, views, plan, notebook } = this.#context;
    // What an earlier process began has an end of its own, or a task that is to be ended.
    if (stop.aborted && !notebook.hasBegun(run.name)) return (stop.reason as Error).message;
    const condition = run.step.when === undefined ? undefined : parseExpression(run.step.when);
    if (!condition || !usesStatus(condition)) {
      const broken = run.parents.find(({ isBroken }) => isBroken);
      if (broken) return `step ${broken.name} before it ${broken.state === "skipped" ? "was skipped" : broken.state}`;
      const skipped = run.parents.find(({ state, step }) => state === "skipped" || (isBad(state) && step.onFailure === "skip_children"));
      if (skipped) return `step ${skipped.name} before it ${skipped.state === "skipped" ? "was skipped" : skipped.state}`;
    }
    if (!condition) return undefined;
    const scope = await views.scope(plan.usesOf(run), { run });
    return evaluate(condition, scope) ? undefined : `when: ${run.step.when}`;
  }

  async #approval(run: StepRun): Promise<string | undefined> {
    if (!run.step.approve) return undefined;
    run.state = "waiting";
    this.#onStep(run);
    const isParkable = run.step.approve.timeLimitMs === undefined;
    return this.#context.activity.quiet(() => approved(this.#context, run.step), { isParkable, isApproval: true });
  }

  async #membersOf(run: StepRun): Promise<Member[]> {
    const bare = (key: string): Member => ({ key, state: "pending", round: 1, tries: 1 });
    if (!run.step.matrix) return [bare(run.name)];
    const scope = await this.#context.views.scope(this.#context.plan.usesOf(run), { run });
    const axes = fill(run.step.matrix, scope) as Record<string, ParameterValue>;
    return combinations(run.name, axes).map((matrix, at) => ({ ...bare(`${run.name}[${at}]`), matrix }));
  }

  async #runMembers(run: StepRun): Promise<void> {
    const { stop, activity } = this.#context;
    const gate = new Gate(run.step.maxParallel ?? Number.POSITIVE_INFINITY);
    const fast = new AbortController();
    const signal = AbortSignal.any([stop, fast.signal]);
    setMaxListeners(0, signal); // each of its members listens
    const one = async (member: Member) => {
      const onState = (before: StepState) => this.#told(run, member, before);
      await new MemberRun(this.#context, { run, member, onState }).toEnd(signal);
      if (run.step.failFast && isBad(member.state) && !fast.signal.aborted) fast.abort(new Error(`${member.key} ${member.state}`));
    };
    await activity.quiet(() => Promise.all(run.members.map((member) => gate.through(() => activity.part(() => one(member))))));
  }

  #told(run: StepRun, member: Member, before: StepState): void {
    if (member.state === "running" || (member.state === "queued" && run.state !== "running")) run.state = member.state;
    this.#onStep(run);
    void this.#tell(run, member, before);
  }

  /** It is only told: what it throws changes nothing. */
  async #tell(run: StepRun, member: Member, before: StepState): Promise<void> {
    try {
      await this.#context.hooks.get(run.name)?.onStatusChange?.(hooked(run, member), before);
    } catch (error) {
      this.#context.own.report.note("warn", `onStatusChange of step ${run.name} threw: ${(error as Error).message}`);
    }
  }

  async #skip(run: StepRun, why: string): Promise<void> {
    run.isBroken = run.parents.some(({ isBroken }) => isBroken) || this.#context.stop.aborted;
    await this.#endWithout(run, "skipped", why);
  }

  /** Of a step that came to no task of its own: what became of it stands in the journal for those who look on. */
  async #endWithout(run: StepRun, state: StepState, reason: string): Promise<void> {
    await this.#context.notebook.end({ key: run.name, state, reason, round: 1, tries: 0 });
    this.#end(run, state, reason);
  }

  #end(run: StepRun, state: StepState, reason: string | undefined): void {
    run.state = state;
    run.reason = reason;
    run.isBroken ||= isBad(state) && run.step.onFailure === "stop";
  }
}

const isBad = (state: StepState) => state === "failed" || state === "aborted";
