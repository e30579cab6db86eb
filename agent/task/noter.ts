import type { Claim, Claims } from "../../broker/index.js";
import { type AttemptFacts, isNavvyError, type Phase } from "../../protocol/index.js";
import type { Reports } from "./reports.js";

const FIRST_AFTER_MS = 300;
const EVERY_MS = 2_000;

/**
 * Keeps the record of a running attempt near what is true: phase, progress, figures, the delivered wish. Seldom enough
 * to cost a short task nothing: the first write comes after 300 ms.
 */
export class Noter {
  readonly #claims: Claims;
  readonly #claim: Claim;
  readonly #reports: Reports;
  #phase: Phase = "claimed";
  #facts: AttemptFacts = {};
  #written = { phase: "claimed" as Phase, version: 0, facts: this.#facts };
  #dueAt = performance.now() + FIRST_AFTER_MS;
  #writing: Promise<void> | undefined;

  constructor(claims: Claims, claim: Claim, reports: Reports) {
    this.#claims = claims;
    this.#claim = claim;
    this.#reports = reports;
  }

  get phase(): Phase {
    return this.#phase;
  }

  set phase(phase: Phase) {
    this.#phase = phase;
    // People wait for this one: that the wish was heard.
    if (phase === "aborting") this.#dueAt = 0;
  }

  /** What was found out about the attempt; with its outcome it is recorded in any case. */
  get facts(): AttemptFacts {
    return this.#facts;
  }

  /** `atOnce`: a later attempt depends on it, so it must stand even should this one be lost in a moment. */
  learn(facts: AttemptFacts, { atOnce = false } = {}): void {
    this.#facts = { ...this.#facts, ...facts };
    if (atOnce) this.#dueAt = 0;
  }

  /** Writes when something changed and it is time. */
  tick(): void {
    const { phase, version, facts } = this.#written;
    const isSame = phase === this.#phase && version === this.#reports.version && facts === this.#facts;
    if (this.#writing || isSame || performance.now() < this.#dueAt) return;
    this.#writing = this.#write().finally(() => (this.#writing = undefined));
  }

  /** Waits for a write that is under way: two writers of one revision would only get in each other's way. */
  async settle(): Promise<void> {
    this.#dueAt = Number.POSITIVE_INFINITY;
    await this.#writing;
  }

  async #write(): Promise<void> {
    this.#dueAt = performance.now() + EVERY_MS;
    const written = { phase: this.#phase, version: this.#reports.version, facts: this.#facts };
    try {
      const { reported, wishes } = this.#reports;
      const { childrenOnAbort } = wishes;
      const said = { reported, ...(childrenOnAbort ? { childrenOnAbort } : {}) };
      await this.#claims.note(this.#claim, { phase: this.#phase, ...said }, written.facts);
      this.#written = written;
    } catch (error) {
      if (!isNavvyError(error)) throw error; // out of reach: the next one carries it, and settling carries all
    }
  }
}
