import type { ConnectOptions } from "../../broker/lease/index.js";
import type { Owner } from "../../protocol/index.js";

/** What the lease thread is started with. */
export interface LeaseThreadData {
  connection: ConnectOptions;
  agent: string;
  leaseMs: number;
  /** The spawner's socket: freezes are put off from the lease thread itself. */
  spawnerSocket: string;
  /** {@link LeaseClock}'s memory. */
  clock: SharedArrayBuffer;
}

/** Agent to lease thread. */
export type LeaseRequest =
  /** Open a session: the first one, or the next after a revoked one. */
  | { op: "begin" }
  /** From here on what runs is covered by this session: renewals put off the freeze. */
  | { op: "cover" }
  /** End renewals; `release` gives the session up too: nothing runs under it any more. */
  | { op: "stop"; release: boolean };

/** Lease thread to agent. */
export type LeaseNotice =
  | { event: "began"; owner: Owner; revision: number }
  | { event: "renewed" }
  | { event: "revoked" }
  /** A renewal failed in a way that an outage does not explain, or a session could not be opened. */
  | { event: "failed"; message: string }
  | { event: "stopped" };

const RENEWED_AT = 0;
const ALIVE_AT = 1;

/** Two moments of the monotonic clock in memory that both threads see, so that neither waits for the other. */
export class LeaseClock {
  readonly memory: SharedArrayBuffer;
  readonly #moments: Float64Array;

  constructor(memory = new SharedArrayBuffer(2 * Float64Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#moments = new Float64Array(memory);
  }

  /** When the last renewal that succeeded was sent. */
  get renewedAtMs(): number {
    return this.#moments[RENEWED_AT] ?? 0;
  }

  set renewedAtMs(atMs: number) {
    this.#moments[RENEWED_AT] = atMs;
  }

  /** When the agent's own event loop last turned. */
  get aliveAtMs(): number {
    return this.#moments[ALIVE_AT] ?? 0;
  }

  set aliveAtMs(atMs: number) {
    this.#moments[ALIVE_AT] = atMs;
  }
}
