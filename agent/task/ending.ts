import type { Runner } from "../runners/runner.js";
import type { Programs } from "../setup/programs.js";
import { after } from "./after.js";
import type { Control } from "./control.js";
import type { Cause } from "./outcome.js";

/** Where an attempt is on its way, as far as its process is concerned. */
export type Stage = "before" | "starting" | "running" | "after";

export interface EndingParts {
  runner: Runner;
  key: string;
  /** Fired when what is under way before or after the process need not go on. */
  cut: AbortController;
  /** What runs before the process. */
  setup: Pick<Programs, "end" | "isRunning">;
  /** What the task may ask: it is told of its end there too. */
  control: Control;
  /** SIGTERM is out. */
  onAborting: () => void;
  onFailed: (error: unknown) => void;
}

/** What ends an attempt before its time, and how. The first cause wins; only a revoked lease goes before it. */
export class Ending {
  readonly #parts: EndingParts;
  #stage: Stage = "before";
  #cause: Cause | undefined;
  #cancelGrace = () => {};
  #laterMs = Number.POSITIVE_INFINITY;

  constructor(parts: EndingParts) {
    this.#parts = parts;
  }

  get cause(): Cause | undefined {
    return this.#cause;
  }

  get stage(): Stage {
    return this.#stage;
  }

  set stage(stage: Stage) {
    this.#stage = stage;
    if (stage === "running" && this.#cause) this.#deliver(this.#cause); // it came while the process was being started
    if (stage === "after") this.#cancelGrace();
  }

  /** Someone else has begun it, or it is over: only what to call it is decided here. */
  name(cause: Cause): void {
    if (this.#cause === undefined) this.#parts.control.tell(cause);
    this.#cause ??= cause;
  }

  want(cause: Cause): void {
    if (cause.kind === "aborted" && this.#parts.control.knowsOfAbort) return this.#wantLater(cause);
    const known = this.#cause;
    if (known && cause.kind !== "revoked") return this.#hasten(known, cause);
    this.#cause = known?.kind === "revoked" ? known : cause;
    // A start that a frozen machine holds back has no process to signal yet: what must go at once is dropped there.
    const mustGo = cause.kind === "revoked" || cause.kind === "given_back";
    if (this.#stage === "running" || (this.#stage === "starting" && mustGo)) this.#deliver(cause);
    if (this.#stage === "before") this.#endSetup(this.#cause);
    // An end that is asked for when the process has ended by itself need not wait for its uploads.
    if (this.#stage === "before" || (this.#stage === "after" && known === undefined)) this.#parts.cut.abort();
  }

  /** The shortest grace counts, from when it is first asked for. */
  #wantLater(cause: Extract<Cause, { kind: "aborted" }>): void {
    if (cause.graceMs >= this.#laterMs) return;
    this.#laterMs = cause.graceMs;
    this.#cancelGrace();
    this.#cancelGrace = after(cause.graceMs, () => {
      this.#parts.control.knowsOfAbort = false;
      this.want({ ...cause, graceMs: 0 });
    });
  }

  /** A second wish to abort counts where its grace is shorter. */
  #hasten(known: Cause, wish: Cause): void {
    if (known.kind !== "aborted" || wish.kind !== "aborted" || wish.graceMs >= known.graceMs) return;
    this.#cause = { ...known, graceMs: wish.graceMs };
    this.#cancelGrace();
    if (this.#stage === "before") this.#endSetup(this.#cause);
    if (this.#stage !== "running") return;
    this.#parts.control.tell(this.#cause);
    this.#cancelGrace = after(wish.graceMs, () => this.#kill());
  }

  #endSetup(cause: Cause): void {
    if (this.#parts.setup.isRunning && cause.kind === "aborted") this.#parts.onAborting();
    this.#parts.setup.end(cause);
  }

  #deliver(cause: Cause): void {
    if (cause.kind !== "aborted" && cause.kind !== "timed_out") return this.#kill();
    this.#parts.onAborting();
    this.#parts.control.tell(cause);
    this.#parts.runner.end(this.#parts.key, { graceMs: cause.graceMs, by: cause.kind });
  }

  #kill(): void {
    this.#parts.runner.kill(this.#parts.key).catch(this.#parts.onFailed);
  }
}
