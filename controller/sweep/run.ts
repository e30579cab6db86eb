import type { Navvy } from "../../broker/index.js";
import { NavvyError } from "../../protocol/index.js";
import { task as ownTask } from "../../task/index.js";
import { stopping, waiting } from "../ending.js";
import { patiently } from "../patience.js";
import { Task } from "../task.js";
import { type SweepConfig, samplerOf } from "./definition.js";
import { Judge } from "./judge.js";
import type { Sampler } from "./sampler.js";
import { countsOf, SweepReport } from "./sweep-report.js";
import { bestOf, lossOf, STOPPED, type TrialView, toldOf } from "./trial.js";
import { keyOf, Trials } from "./trials.js";

/** What came of a sweep. */
export interface SweepResult {
  /** The best completed trial; undefined when there is none. */
  best: TrialView | undefined;
  trials: TrialView[];
  /** Why it is over. */
  reason: string;
  /** Too many trials failed, or none completed. */
  isFailed: boolean;
}

/** What a run of a sweep is given. */
export interface SweepRunParts {
  navvy: Navvy;
  /** This process's own task: the trials are its children. */
  me: Task;
  config: SweepConfig;
  /** Told of each trial that has ended, also of those that ended before this run. */
  onTrial?: ((trial: TrialView) => void) | undefined;
}

/**
 * Runs a sweep to its end. All that it knows is in the records of its trials, so one that was killed anywhere goes on from there: a
 * trial's number makes its task's id, and what a trial was given stands in its task.
 * @throws NavvyError aborted (asked to end), not_found (the template was deleted)
 */
export function runSweep(parts: SweepRunParts): Promise<SweepResult> {
  return waiting(async () => {
    const run = new SweepRun(parts);
    try {
      return await run.run();
    } finally {
      run.close();
    }
  });
}

class SweepRun {
  readonly #me: Task;
  readonly #config: SweepConfig;
  readonly #sampler: Sampler;
  readonly #trials: Trials;
  readonly #judge: Judge;
  readonly #report: SweepReport;
  readonly #navvy: Navvy;
  #startedAtMs = Number.POSITIVE_INFINITY;
  /** The sampler has nothing left. */
  #isExhausted = false;

  constructor({ navvy, me, config, onTrial = () => {} }: SweepRunParts) {
    this.#navvy = navvy;
    this.#me = me;
    this.#config = config;
    this.#sampler = samplerOf(config);
    this.#trials = new Trials(navvy, me.id, config);
    this.#judge = new Judge(navvy, config);
    this.#report = new SweepReport(me.log, config, onTrial);
  }

  async run(): Promise<SweepResult> {
    // Whoever leads ends the trials too, where this process can not: killed before it came to it, or never started again.
    if (ownTask.isInside) ownTask.childrenOnAbort(this.#config.onAbort);
    const template = await Task.get(this.#config.template);
    const queue = this.#config.queue ?? template.record.queue ?? "default";
    this.#startedAtMs = await this.#started();
    await this.#trials.resume(this.#me.id, queue);
    for (;;) {
      if (stopping.aborted) await this.#leave();
      await this.#judge.look(this.#trials);
      this.#say();
      const over = this.#over();
      if (over) return this.#finish(over);
      if (await this.#propose(template, queue)) continue;
      if (this.#trials.open.length > 0) await this.#trials.changed(this.#deadlineMs);
    }
  }

  close(): void {
    this.#trials.close();
  }

  /** Starts one more trial where there is room. @returns whether it did, or found that there is none left */
  async #propose(template: Task, queue: string): Promise<boolean> {
    const { parallel, objective, budget, name } = this.#config;
    const { views, open, nextNumber: number } = this.#trials;
    if (this.#isExhausted || open.length >= parallel) return false;
    const told = views.map((view) => toldOf(view, objective));
    const parameters = number > (budget.trials ?? Number.POSITIVE_INFINITY) ? undefined : this.#sampler.propose(number, told);
    if (parameters === undefined) {
      this.#isExhausted = true;
      return true;
    }
    const limit = budget.trialTimeMs === undefined ? {} : { timeLimitMs: budget.trialTimeMs };
    const identity = { key: keyOf(number), name: `${name} ${number}`, project: this.#me.project };
    const trial = await Task.clone(template, { ...identity, ...limit, parameters, queue });
    this.#trials.follow(number, trial.record);
    return true;
  }

  /** When the first run began: its time counts over all of them. That it is in the journal makes a reset begin anew. */
  async #started(): Promise<number> {
    const noted = await patiently(() => this.#navvy.journals.of(this.#me.id).put("started", true));
    return Date.parse(noted.at);
  }

  get #deadlineMs(): number {
    return this.#startedAtMs + (this.#config.budget.timeMs ?? Number.POSITIVE_INFINITY);
  }

  #over(): Pick<SweepResult, "reason" | "isFailed"> | undefined {
    const { target, objective, budget } = this.#config;
    const { views, open } = this.#trials;
    const best = bestOf(views, objective)?.value;
    const failed = views.filter(({ state }) => state === "failed");
    if (failed.length >= budget.failures) return { reason: failuresText(failed), isFailed: true };
    if (target !== undefined && best !== undefined && lossOf(best, objective.goal) <= lossOf(target, objective.goal))
      return { reason: `the target of ${target} was reached`, isFailed: false };
    if (Date.now() >= this.#deadlineMs && views.length > 0) return { reason: "its time is up", isFailed: best === undefined };
    if (!this.#isExhausted || open.length > 0) return undefined;
    if (best === undefined) return { reason: `no trial completed. ${failuresText(failed)}`, isFailed: true };
    return { reason: "all trials have ended", isFailed: false };
  }

  /** Ends what is still under way, and says how it all ended. */
  async #finish({ reason, isFailed }: Pick<SweepResult, "reason" | "isFailed">): Promise<SweepResult> {
    await Promise.all(this.#trials.open.map(({ number }) => this.#trials.abort(number, `${STOPPED}${reason}`)));
    while (this.#trials.open.length > 0) {
      if (stopping.aborted) await this.#leave();
      await this.#trials.changed(Number.POSITIVE_INFINITY);
    }
    this.#say();
    const trials = this.#trials.views;
    this.#me.log.note(isFailed ? "error" : "info", `over: ${reason} (${countsOf(trials)})`);
    return { best: bestOf(trials, this.#config.objective), trials, reason, isFailed };
  }

  #say(): void {
    const most = [this.#config.budget.trials, this.#sampler.size].filter((each) => each !== undefined);
    this.#report.update(this.#trials.views, most.length > 0 ? Math.min(...most) : undefined);
  }

  /** A person's wish ends the trials too, unless they are to go on. One that its agent gave back goes on elsewhere, with them. */
  async #leave(): Promise<never> {
    const isWish = !ownTask.isInside || (await this.#me.reload()).record.abort !== undefined;
    if (isWish && this.#config.onAbort === "abort")
      await Promise.all(this.#trials.open.map(({ number }) => this.#trials.abort(number, "its sweep was aborted")));
    throw new NavvyError("aborted", `sweep ${this.#me.id} was asked to end`, { why: (stopping.reason as Error).message });
  }
}

function failuresText(failed: TrialView[]): string {
  const last = failed.at(-1);
  const count = `${failed.length} trial${failed.length === 1 ? "" : "s"} failed`;
  return last ? `${count}; number ${last.number} (task ${last.task.slice(-8)}): ${last.why}` : count;
}
