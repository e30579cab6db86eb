import { NavvyError } from "../../protocol/index.js";
import type { ProcessEnd, Runner, RunSpec } from "../runners/runner.js";
import type { Cause } from "../task/outcome.js";
import type { SetupPlace, SetupProgram } from "./place.js";

/** Names the tree of an attempt's set-up on its machine, apart from that of its program. */
export function setupKeyOf(attemptKey: string): string {
  return `${attemptKey}.setup`;
}

export interface ProgramsParts {
  runner: Runner;
  /** As {@link setupKeyOf} has it. */
  key: string;
  place: SetupPlace;
  /** Has what a program prints redacted on its way; `over`: all of it is in its file. */
  redacted: (spec: RunSpec) => Promise<{ spec: RunSpec; over: () => Promise<void> }>;
}

/**
 * The programs of one attempt's set-up, one after the other, each a tree of its own below the spawner: frozen with the lease, held
 * to a time limit without us, and gone before the attempt's outcome is recorded.
 */
export class Programs {
  /** Another one once the image of a task's container is known. */
  place: SetupPlace;
  readonly #parts: ProgramsParts;
  #underway: Promise<unknown> | undefined;
  #isCut = false;

  constructor(parts: ProgramsParts) {
    this.#parts = parts;
    this.place = parts.place;
  }

  /** A tree of the set-up is there. */
  get isRunning(): boolean {
    return this.#underway !== undefined;
  }

  /**
   * Runs one to its end; nothing of its tree is left when it resolves.
   * @throws NavvyError setup_failed (it can not be started), aborted (the set-up was cut short), internal (it was ended with its
   * agent's lease, or what watched it died)
   */
  async run(program: SetupProgram): Promise<ProcessEnd> {
    if (this.#isCut) throw cutShort();
    const running = this.#run(program);
    const over = running.then(
      () => undefined,
      () => undefined,
    );
    this.#underway = over;
    try {
      const end = await running;
      if (this.#isCut) throw cutShort();
      return end;
    } finally {
      this.#underway = undefined;
    }
  }

  /** Ends what runs and starts nothing more. A wish to abort leaves its grace; a second one may shorten it. */
  end(cause: Cause): void {
    this.#isCut = true;
    if (!this.isRunning) return;
    const { runner, key } = this.#parts;
    if (cause.kind === "aborted") runner.end(key, { graceMs: cause.graceMs, by: cause.kind });
    else runner.kill(key).catch(() => undefined); // `gone` waits for the same
  }

  /** Resolves when nothing of the set-up runs. */
  async gone(): Promise<void> {
    await this.#underway;
  }

  async #run(program: SetupProgram): Promise<ProcessEnd> {
    const { runner, key, redacted } = this.#parts;
    const timeLimitMs = Math.max(1, Math.round(program.timeLimitMs));
    const { spec, over } = await redacted({ ...this.place.specOf(program), key, timeLimitMs });
    try {
      await runner.start(spec);
      const end = await runner.exited(key);
      if (end.lost) throw new NavvyError("internal", "what watched the set-up on its machine died");
      if (end.endedBy !== undefined && end.endedBy !== "time_limit" && !this.#isCut)
        throw new NavvyError("internal", `its set-up was ended by its agent's spawner: ${end.endedBy}`);
      return end;
    } finally {
      await runner.kill(key); // whoever it left in the background too
      runner.release(key);
      await over();
    }
  }
}

function cutShort(): NavvyError {
  return new NavvyError("aborted", "the set-up was cut short");
}
