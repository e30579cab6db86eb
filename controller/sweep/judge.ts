import type { Navvy } from "../../broker/index.js";
import { patiently } from "../patience.js";
import { Asha, valueAt } from "./asha.js";
import type { SweepConfig } from "./definition.js";
import { lossOf, STOPPED, type TrialView } from "./trial.js";
import type { Trials } from "./trials.js";

/** Early stop: looks at trials that have come to a rung, and ends those that do badly there. */
export class Judge {
  readonly #navvy: Navvy;
  readonly #config: SweepConfig;
  readonly #asha: Asha | undefined;

  constructor(navvy: Navvy, config: SweepConfig) {
    this.#navvy = navvy;
    this.#config = config;
    this.#asha = config.earlyStop && new Asha(config.earlyStop);
  }

  /** Ended trials too: what they had reached at a rung is what others are compared with. */
  async look(trials: Trials): Promise<void> {
    if (!this.#asha) return;
    for (const view of trials.views) {
      const verdict = await this.#verdict(trials, view);
      const isStopping = trials.record(view.number)?.abort !== undefined;
      if (verdict !== undefined && view.state === "running" && !isStopping) await trials.abort(view.number, `${STOPPED}${verdict}`);
    }
  }

  /** What it had reached is read from the metric's points: so it is the same however late the look comes. */
  async #verdict(trials: Trials, view: TrialView): Promise<string | undefined> {
    const { metric, of, goal } = this.#config.objective;
    const record = trials.record(view.number);
    const step = record?.reported.metrics[metric]?.lastStep;
    if (!record || step === undefined || !this.#asha?.isDue(view.number, step)) return undefined;
    const points = await patiently(() => this.#navvy.metrics.series(record, metric));
    return this.#asha.judge(view.number, step, (rung) => lossOf(valueAt(points, rung, of), goal));
  }
}
