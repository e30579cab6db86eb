import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { NavvyError, type Owner } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import { monotonicMs } from "../host/spawner/wire.js";
import { LeaseClock, type LeaseNotice, type LeaseRequest, type LeaseThreadData } from "./lease-wire.js";

/** Share of the lease R, counted from the sending of the last successful renewal, after which nothing more is claimed. */
const CLAIM_UNTIL = 0.5;
const ALIVE_EVERY_MS = 2_000;
/** V8's limits for the thread: it holds next to nothing. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 };

export interface LeaseParts {
  config: AgentConfig;
  /** Where the spawner listens. */
  spawnerSocket: string;
  /** A session began: everybody who needs to know. What runs is covered by it once this resolves. */
  onSession: (session: { owner: Owner; revision: number }) => Promise<void>;
  /** The session was taken away: whatever runs under it must go, and none of it may be recorded. */
  onRevoked: () => Promise<void>;
  /** After each renewal: the time to look at wishes that were not delivered. */
  onRenewed: () => Promise<void>;
  /** The thread died: no lease can be kept any more. */
  onBroken: (error: Error) => void;
}

/**
 * The agent's side of its lease, which a thread of its own keeps (`lease-thread.ts`). A revoked session is never made
 * again: what ran under it is seen to, and then a new one begins.
 */
export class LeaseLoop {
  readonly #parts: LeaseParts;
  readonly #clock = new LeaseClock();
  readonly #thread: Worker;
  readonly #alive: NodeJS.Timeout;
  #owner: Owner | undefined;
  #isStopping = false;
  /** From the word that the session is gone until the next one has begun. */
  #isRevoked = false;
  /** What a notice sets off, one after the other. */
  #turn: Promise<void> = Promise.resolve();
  #began: { resolve: () => void; reject: (error: Error) => void } | undefined;

  /** Resolves when the first session stands and `onSession` is done. @throws NavvyError as connecting and opening do */
  static async start(parts: LeaseParts): Promise<LeaseLoop> {
    const loop = new LeaseLoop(parts);
    try {
      await new Promise<void>((resolve, reject) => {
        loop.#began = { resolve, reject };
        loop.#send({ op: "begin" });
      });
      return loop;
    } catch (error) {
      await loop.stop({ release: false, limitMs: 0 }); // else its thread would keep a lease for nobody
      throw error;
    }
  }

  private constructor(parts: LeaseParts) {
    this.#parts = parts;
    this.#clock.aliveAtMs = monotonicMs();
    const { config } = parts;
    const { onWaiting: _told, ...connection } = config.connection;
    const workerData: LeaseThreadData = {
      connection: JSON.parse(JSON.stringify(connection)) as LeaseThreadData["connection"],
      agent: config.name,
      leaseMs: config.leaseMs,
      spawnerSocket: parts.spawnerSocket,
      clock: this.#clock.memory,
    };
    this.#thread = new Worker(threadProgram(), { workerData, execArgv: [], resourceLimits: THREAD_LIMITS });
    this.#thread.on("message", (notice: LeaseNotice) => this.#hear(notice));
    this.#thread.on("error", (error) => this.#broke(error));
    this.#alive = setInterval(() => (this.#clock.aliveAtMs = monotonicMs()), ALIVE_EVERY_MS);
  }

  /** Of the present session. */
  get owner(): Owner {
    if (!this.#owner) throw new NavvyError("internal", "the agent has no session yet");
    return this.#owner;
  }

  get ageMs(): number {
    return monotonicMs() - this.#clock.renewedAtMs;
  }

  /** Young enough to claim, and to start what was claimed. */
  get isFresh(): boolean {
    return this.#owner !== undefined && !this.#isRevoked && this.ageMs < this.#parts.config.leaseMs * CLAIM_UNTIL;
  }

  /**
   * Ends renewals. With `release` the session is given up: nothing may run any more. Without it others may adopt what runs.
   * What can not be told within the limit is not: a lease ends by itself.
   */
  async stop({ release, limitMs }: { release: boolean; limitMs: number }): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    clearInterval(this.#alive);
    const ended = once(this.#thread, "exit").catch(() => undefined);
    this.#send({ op: "stop", release });
    await Promise.race([ended, delay(limitMs, undefined, { ref: false })]);
    await this.#thread.terminate();
  }

  #send(request: LeaseRequest): void {
    this.#thread.postMessage(request);
  }

  #hear(notice: LeaseNotice): void {
    const { config, onRenewed } = this.#parts;
    switch (notice.event) {
      case "began":
        return this.#then(() => this.#begin(notice));
      case "renewed":
        return this.#then(onRenewed);
      case "revoked":
        this.#isRevoked = true;
        return this.#then(() => this.#revoked());
      case "failed":
        config.log.error({ message: notice.message }, "renewal failed");
        return this.#began?.reject(new NavvyError("internal", `no session could be opened: ${notice.message}`));
      case "stopped":
        void this.#thread.terminate();
    }
  }

  #then(act: () => Promise<void>): void {
    this.#turn = this.#turn.then(act).catch((error: unknown) => {
      this.#parts.config.log.error({ err: error }, "what a renewal sets off failed");
    });
  }

  async #begin({ owner, revision }: { owner: Owner; revision: number }): Promise<void> {
    this.#owner = owner;
    this.#isRevoked = false;
    try {
      await this.#parts.onSession({ owner, revision });
    } catch (error) {
      return this.#broke(error as Error); // what runs was not seen to: it must not go on under this session
    }
    this.#send({ op: "cover" });
    this.#began?.resolve();
  }

  async #revoked(): Promise<void> {
    this.#parts.config.log.warn({ session: this.#owner?.session }, "this session was revoked: what ran under it is killed");
    await this.#parts.onRevoked();
    this.#send({ op: "begin" });
  }

  #broke(error: Error): void {
    this.#began?.reject(error);
    if (!this.#isStopping) this.#parts.onBroken(error);
  }
}

/** Beside this module once compiled; run from source (tests), the build's. */
function threadProgram(): string {
  const isSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(new URL(isSource ? "../../dist/agent/loops/lease-thread.js" : "./lease-thread.js", import.meta.url));
}
