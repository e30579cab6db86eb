import type { Navvy } from "../../broker/index.js";
import type { Report } from "../report.js";
import type { StepRun } from "./step-run.js";

/** A step that stands on its queue for so long is looked into. */
const AFTER_MS = 2_000;

/** Says when a step waits on a queue that nobody serves. */
export class ServedCheck {
  readonly #navvy: Navvy;
  readonly #report: Report;
  readonly #waiting = new Set<StepRun>();
  #timer: NodeJS.Timeout | undefined;

  constructor(navvy: Navvy, report: Report) {
    this.#navvy = navvy;
    this.#report = report;
  }

  see(run: StepRun): void {
    this.#waiting.add(run);
    this.#timer ??= setTimeout(() => void this.#look(), AFTER_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#waiting.clear();
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    const still = [...this.#waiting].filter((run) => run.state === "queued");
    this.#waiting.clear();
    if (still.length === 0) return;
    try {
      const agents = await this.#navvy.fleet.agents();
      const served = new Set(agents.filter(({ isUp }) => isUp).flatMap(({ record }) => record.queues));
      for (const run of still) await this.#tell(run, served);
    } catch {
      // The server is away: whatever waits, waits for that.
    }
  }

  async #tell(run: StepRun, served: ReadonlySet<string>): Promise<void> {
    const [member] = run.members.filter(({ task, state }) => task !== undefined && state === "queued");
    if (!member?.task) return;
    const { queue } = await this.#navvy.tasks.get(member.task);
    if (queue === undefined || served.has(queue)) return;
    this.#report.note("warn", `step ${run.name} waits on queue ${queue}, and no agent that is up serves it: navvy agent start -q ${queue}`);
  }
}
