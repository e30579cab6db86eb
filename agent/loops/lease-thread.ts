/**
 * The thread that keeps the agent's session: renewed every 4/15 of the lease, judged by renewals only, never by connection
 * events. It has a connection of its own and tells the spawner itself, so that nothing the agent's event loop does, or
 * does not do for a minute, loses a lease.
 */
import { parentPort, workerData } from "node:worker_threads";
import { openBus, Session } from "../../broker/lease/index.js";
import { isNavvyError } from "../../protocol/index.js";
import { monotonicMs } from "../host/spawner/wire.js";
import { LeaseLine } from "../host/spawner-lease.js";
import { LeaseClock, type LeaseNotice, type LeaseRequest, type LeaseThreadData } from "./lease-wire.js";

/** Shares of the lease R. */
const RENEW = 4 / 15;
const RETRY = 1 / 30;
/** Counted from the sending of the last successful renewal. */
const FREEZE_AT = 0.6;
/** An event loop that stands still for longer is taken for hung: its lease is let go, so that its tasks run elsewhere. */
const HUNG_MS = 120_000;

class LeaseThread {
  readonly #data: LeaseThreadData;
  readonly #clock: LeaseClock;
  readonly #line: LeaseLine;
  readonly #bus: Awaited<ReturnType<typeof openBus>>;
  #session: Session | undefined;
  #covers = false;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> | undefined;
  #isStopped = false;

  static async start(data: LeaseThreadData): Promise<LeaseThread> {
    const line = await LeaseLine.open(data.spawnerSocket);
    const bus = await openBus({ ...data.connection, clientName: `navvy lease of ${data.agent}`, actor: data.agent, wait: true });
    return new LeaseThread(data, line, bus);
  }

  private constructor(data: LeaseThreadData, line: LeaseLine, bus: Awaited<ReturnType<typeof openBus>>) {
    this.#data = data;
    this.#clock = new LeaseClock(data.clock);
    this.#line = line;
    this.#bus = bus;
    bus.onReconnect(() => this.#schedule(0));
  }

  obey(request: LeaseRequest): void {
    switch (request.op) {
      case "begin":
        this.#begin().catch((error: unknown) => tell({ event: "failed", message: String(error) }));
        return;
      case "cover":
        this.#covers = true;
        return this.#putOff();
      case "stop":
        void this.#stop(request.release);
    }
  }

  async #begin(): Promise<void> {
    while (!this.#isStopped) {
      try {
        const session = await Session.open(this.#bus, { agent: this.#data.agent, leaseMs: this.#data.leaseMs });
        this.#covers = false;
        this.#took(session);
        tell({ event: "began", owner: session.owner, revision: session.revision });
        return this.#schedule(this.#everyMs);
      } catch (error) {
        if (!isNavvyError(error) || !error.retryable) throw error;
        await new Promise((resolve) => setTimeout(resolve, this.#data.leaseMs * RETRY));
      }
    }
  }

  get #everyMs(): number {
    return this.#data.leaseMs * RENEW;
  }

  /** Counted from the sending of the last one: a renewal whose answer took long covers only what is left of it. */
  get #dueMs(): number {
    return Math.max(0, this.#everyMs - (this.#session?.ageMs ?? 0));
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    if (this.#isStopped || !this.#session) return;
    this.#timer = setTimeout(() => {
      this.#turn ??= this.#renew()
        .then((isKnown) => this.#schedule(isKnown ? this.#dueMs : this.#data.leaseMs * RETRY))
        .finally(() => (this.#turn = undefined));
    }, delayMs);
  }

  /** @returns false when it is not known whether the session lives: the next try finds out, and the freeze stands armed */
  async #renew(): Promise<boolean> {
    const session = this.#session;
    if (!session || monotonicMs() - this.#clock.aliveAtMs > HUNG_MS) return session === undefined;
    try {
      if ((await session.renew()) === "revoked") {
        this.#session = undefined;
        tell({ event: "revoked" });
        return true;
      }
      this.#took(session);
      tell({ event: "renewed" });
      return true;
    } catch (error) {
      if (!isNavvyError(error)) tell({ event: "failed", message: String(error) });
      return false;
    }
  }

  #took(session: Session): void {
    this.#session = session;
    this.#clock.renewedAtMs = monotonicMs() - session.ageMs;
    this.#putOff();
  }

  /** Trees that this session does not cover (yet) freeze when the lease they run under says so. */
  #putOff(): void {
    if (!this.#covers || !this.#session) return;
    this.#line.lease(Math.max(0, this.#data.leaseMs * FREEZE_AT - this.#session.ageMs));
  }

  async #stop(release: boolean): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#turn;
    if (release) await this.#session?.release();
    this.#line.close();
    await this.#bus.close();
    tell({ event: "stopped" });
  }
}

function tell(notice: LeaseNotice): void {
  parentPort?.postMessage(notice);
}

const thread = LeaseThread.start(workerData as LeaseThreadData);
parentPort?.on("message", (request: LeaseRequest) => void thread.then((started) => started.obey(request)));
