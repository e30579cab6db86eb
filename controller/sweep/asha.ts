import type { Point } from "../../protocol/index.js";

/** The rules of early stop, steps in the metric's own count. */
export interface EarlyStop {
  /** No trial is judged before this step. */
  minSteps: number;
  /** η: each rung is so many times further than the one before, and of those that reach it one in so many goes on. */
  factor: number;
  /** No trial is judged from this step on. Default: no end. */
  maxSteps?: number | undefined;
}

/**
 * ASHA, asynchronous successive halving: Li, Jamieson, Rostamizadeh, Gonina, Hardt, Recht, Talwalkar, "A System for Massively
 * Parallel Hyperparameter Tuning", MLSys 2020 (arXiv 1810.05934), section 3. At the rungs minSteps, minSteps · η,
 * minSteps · η² … a trial is compared with all that have reached the same rung so far, and only the best 1/η go on; nobody
 * waits for a rung to fill.
 *
 * The paper promotes trials that were paused. A task that has ended can not be taken up where it was, so here a trial runs on until
 * it is found not to be among the best: the first η of a rung all go on.
 */
export class Asha {
  readonly #rules: EarlyStop;
  /** By rung: what each trial had reached there, the lower the better. */
  readonly #rungs = new Map<number, Map<number, number>>();
  readonly #next = new Map<number, number>();

  constructor(rules: EarlyStop) {
    this.#rules = rules;
  }

  /** Whether a trial that has come to a step is at a rung that it has not been judged at. */
  isDue(trial: number, step: number): boolean {
    return step >= this.#nextRung(trial);
  }

  /**
   * Notes what a trial had reached at every rung that it has come to, and judges it at the furthest.
   * @param losses what it had reached at a step, the lower the better; NaN is worse than anything
   * @returns the verdict's sentence when the trial is to be stopped
   */
  judge(trial: number, step: number, losses: (rung: number) => number): string | undefined {
    let reached: number | undefined;
    for (let rung = this.#nextRung(trial); rung <= step; rung = this.#nextRung(trial)) {
      const at = this.#rungs.get(rung) ?? new Map<number, number>();
      this.#rungs.set(rung, at.set(trial, losses(rung)));
      this.#next.set(trial, rung * this.#rules.factor);
      reached = rung;
    }
    return reached === undefined ? undefined : this.#verdict(trial, reached);
  }

  #verdict(trial: number, rung: number): string | undefined {
    const at = this.#rungs.get(rung) ?? new Map<number, number>();
    const goOn = Math.floor(at.size / this.#rules.factor);
    if (goOn === 0) return undefined;
    const own = at.get(trial) ?? Number.NaN;
    const better = [...at].filter(([other, loss]) => other !== trial && isBetter(loss, own)).length;
    return better < goOn ? undefined : `at step ${rung} it was number ${better + 1} of ${at.size}, and the best ${goOn} go on`;
  }

  #nextRung(trial: number): number {
    const next = this.#next.get(trial) ?? this.#rules.minSteps;
    return next >= (this.#rules.maxSteps ?? Number.POSITIVE_INFINITY) ? Number.POSITIVE_INFINITY : next;
  }
}

const isBetter = (loss: number, own: number) => loss < own || (Number.isNaN(own) && !Number.isNaN(loss));

/** What a metric had come to at a step: its last, lowest or highest value up to there. NaN where there is none. */
export function valueAt(points: Point[], step: number, of: "last" | "min" | "max"): number {
  const values = points.filter((point) => point.step <= step).map(({ value }) => value);
  if (of === "last") return values.at(-1) ?? Number.NaN;
  const finite = values.filter(Number.isFinite);
  return finite.length === 0 ? Number.NaN : finite.reduce((a, b) => (of === "min" ? Math.min(a, b) : Math.max(a, b)));
}
