import type { ParameterValue } from "../../protocol/index.js";
import { task } from "../../task/index.js";
import type { Report } from "../report.js";
import type { SweepConfig } from "./definition.js";
import { bestOf, isOpen, ranked, type TrialView } from "./trial.js";

/** Rows of the page. */
const ROWS = 50;

/** What a sweep says of itself while it goes on: metrics, outputs, and a page with the best trials. */
export class SweepReport {
  readonly #report: Report;
  readonly #config: SweepConfig;
  readonly #said = new Set<number>();
  readonly #onTrial: (trial: TrialView) => void;
  #best: string | undefined;
  #page: string | undefined;

  constructor(report: Report, config: SweepConfig, onTrial: (trial: TrialView) => void) {
    this.#report = report;
    this.#config = config;
    this.#onTrial = onTrial;
  }

  /** @param of how many there will be at most, where that is known */
  update(trials: TrialView[], of: number | undefined): void {
    const ended = trials.filter((trial) => !isOpen(trial));
    const news = ended.filter(({ number }) => !this.#said.has(number));
    for (const trial of news) {
      this.#said.add(trial.number);
      if (trial.value !== undefined) this.#report.scalar(this.#config.objective.metric, trial.value, { step: trial.number });
      this.#onTrial(trial);
    }
    if (news.length > 0) this.#sayStanding(trials, ended.length, of);
    const page = pageOf(trials, this.#config);
    if (task.isInside && page !== this.#page) task.summary(page, { replace: true });
    this.#page = page;
  }

  #sayStanding(trials: TrialView[], endedCount: number, of: number | undefined): void {
    const { metric } = this.#config.objective;
    this.#report.progress(endedCount, of, "trials");
    const best = bestOf(trials, this.#config.objective);
    if (best?.value === undefined) return;
    this.#report.scalar(`best/${metric}`, best.value, { step: endedCount });
    if (best.task === this.#best) return;
    this.#best = best.task;
    const outputs: Record<string, ParameterValue> = {
      "best.task": best.task,
      "best.trial": best.number,
      "best.value": best.value,
      "best.parameters": best.parameters,
    };
    for (const [key, value] of Object.entries(outputs)) this.#report.output(key, value);
  }
}

/** The page: the best trials in a table of Markdown. */
export function pageOf(trials: TrialView[], config: Pick<SweepConfig, "name" | "objective" | "space">): string {
  const { metric, goal } = config.objective;
  const paths = config.space.map(({ path }) => path);
  const titles = ["rank", "trial", "task", "state", metric, "step", ...paths];
  const rows = ranked(trials, config.objective)
    .slice(0, ROWS)
    .map((trial, index) => [
      trial.state === "completed" ? String(index + 1) : "",
      String(trial.number),
      trial.task.slice(-6),
      trial.state,
      trial.value === undefined ? "" : figure(trial.value),
      trial.step === undefined ? "" : String(trial.step),
      ...paths.map((path) => (trial.parameters[path] === undefined ? "" : parameterText(trial.parameters[path]))),
    ]);
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
  const counts = countsOf(trials);
  return [
    `# ${config.name}`,
    `${goal === "max" ? "Highest" : "Lowest"} \`${metric}\` first. ${counts || "No trial yet."}`,
    [line(titles), line(titles.map(() => "---")), ...rows.map(line)].join("\n"),
    ...(trials.length > ROWS ? [`${trials.length - ROWS} more are not shown.`] : []),
  ].join("\n\n");
}

/** `12 completed, 1 failed`. */
export function countsOf(trials: TrialView[]): string {
  const counts = new Map<string, number>();
  for (const { state } of trials) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, count]) => `${count} ${state}`).join(", ");
}

/** Six significant digits at most: what is compared by eye. */
export function figure(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(6))) : String(value);
}

export function parameterText(value: ParameterValue): string {
  if (typeof value === "number") return figure(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}
