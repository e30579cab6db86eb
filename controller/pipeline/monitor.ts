import type { TaskRecord } from "../../protocol/index.js";
import type { Context } from "./context.js";
import type { Member, StepRun } from "./step-run.js";

/** Copies what a step's task reports up to the pipeline's own task, as the step asks for it. */
export class Monitor {
  readonly #context: Context;
  readonly #prefix: string;
  readonly #wanted: { metrics: RegExp[]; artifacts: RegExp[]; models: RegExp[] };
  readonly #seen = new Map<string, number>();

  constructor(context: Context, run: StepRun, member: Member) {
    const { metrics = [], artifacts = [], models = [] } = run.step.monitors ?? {};
    this.#context = context;
    this.#prefix = member.key;
    this.#wanted = { metrics: metrics.map(pattern), artifacts: artifacts.map(pattern), models: models.map(pattern) };
  }

  /** Of each metric the latest point. */
  see({ reported }: TaskRecord): void {
    if (this.#wanted.metrics.length === 0) return;
    for (const [name, { last, lastStep, count }] of Object.entries(reported.metrics)) {
      if (this.#seen.get(name) === count || !this.#wanted.metrics.some((one) => one.test(name))) continue;
      this.#seen.set(name, count);
      this.#context.own.report.scalar(`${this.#prefix}/${name}`, last, { step: lastStep });
    }
  }

  /** Artifacts and models, by reference: their content lies where it is. */
  end(record: TaskRecord): void {
    const { artifacts, models } = this.#wanted;
    for (const artifact of record.reported.artifacts) {
      const patterns = artifact.kind === "model" ? [...models, ...artifacts] : artifacts;
      if (patterns.some((one) => one.test(artifact.name))) this.#context.own.report.link(`${this.#prefix}/${artifact.name}`, artifact);
    }
  }
}

function pattern(text: string): RegExp {
  return new RegExp(`^${text.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`);
}
