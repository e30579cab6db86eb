import type { TaskRecord } from "../../protocol/index.js";
import type { ParkOptions } from "../park.js";
import { needsService, type Parkable, parkingChanged } from "../parking.js";

/** What the wait of a part of a run is for. */
export interface Quiet {
  /** False: something is to be done meanwhile, at a time or at a change, that needs this process. */
  isParkable?: boolean;
  /** For a person's word. */
  isApproval?: boolean;
}

/**
 * Whether a run does nothing but wait, and for what: then its process may end, and go on from the journal when that has come about. Every
 * part of the run that goes on is counted, and so is every one of these that only waits; when both are as many, nothing is being done.
 */
export class Activity implements Parkable {
  readonly timers = Number.POSITIVE_INFINITY; // what it waits for by time, it says
  readonly #awaited: () => string[];
  readonly #how: { until?: string | undefined; tidies: boolean };
  readonly #stuck = new Set<string>();
  #parts = 0;
  #quiet = 0;
  #approvals = 0;

  /** @param how when it is to be woken in any case, and whether an abort wakes it: it has more to do then */
  constructor(awaited: () => string[], how: { until?: string | undefined; tidies: boolean }) {
    this.#awaited = awaited;
    this.#how = how;
  }

  /** A part of the run goes on. */
  async part<T>(work: () => Promise<T>): Promise<T> {
    this.#count(1, 0);
    try {
      return await work();
    } finally {
      this.#count(-1, 0);
    }
  }

  /** And waits. */
  async quiet<T>(work: () => Promise<T>, { isParkable = true, isApproval = false }: Quiet = {}): Promise<T> {
    if (!isParkable) return work();
    this.#count(0, 1, isApproval ? 1 : 0);
    try {
      return await work();
    } finally {
      this.#count(0, -1, isApproval ? -1 : 0);
    }
  }

  /** A task that it waits for has changed, or is waited for no more. */
  see(id: string, record?: TaskRecord): void {
    const before = this.#stuck.size;
    if (record && needsService(record)) this.#stuck.add(id);
    else this.#stuck.delete(id);
    if (before !== this.#stuck.size) parkingChanged();
  }

  get isStuck(): boolean {
    return this.#stuck.size > 0;
  }

  wish(): ParkOptions | undefined {
    if (this.#parts === 0 || this.#quiet < this.#parts) return undefined;
    const on = this.#awaited();
    if (on.length === 0 && this.#approvals === 0) return undefined;
    const { until, tidies } = this.#how;
    return { on, keys: this.#approvals > 0, tidies, ...(until === undefined ? {} : { until }) };
  }

  #count(parts: number, quiet: number, approvals = 0): void {
    this.#parts += parts;
    this.#quiet += quiet;
    this.#approvals += approvals;
    parkingChanged();
  }
}
