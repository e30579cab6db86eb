import { type Bus, Session } from "../../broker/index.js";
import { isNavvyError } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";

/** Shares of the lease R, counted from the sending of the last successful renewal. */
const RENEW = 4 / 15;
const RETRY = 1 / 30;
const CLAIM_UNTIL = 0.5;
const FREEZE_AT = 0.6;

export interface LeaseParts {
  bus: Bus;
  config: AgentConfig;
  /** Trees are frozen that many milliseconds from now unless this is called again. */
  armFreeze: (freezeInMs: number) => void;
  /** The session was taken away: whatever runs under it must go, and none of it may be recorded. */
  onRevoked: () => Promise<void>;
  /** After each renewal: the time to look at wishes that were not delivered. */
  onRenewed: () => Promise<void>;
  /** A new session began: everybody who needs to know. */
  onSession: (session: Session) => Promise<void>;
}

/**
 * Keeps this agent's session: renewed every 4/15 of the lease, judged by renewals only, never by connection events.
 * A revoked session is never made again: what ran under it is killed, and then a new one begins.
 */
export class LeaseLoop {
  readonly #parts: LeaseParts;
  #session: Session;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> | undefined;
  #isStopped = false;
  #offReconnect: () => void;

  private constructor(parts: LeaseParts, session: Session) {
    this.#parts = parts;
    this.#session = session;
    this.#offReconnect = parts.bus.onReconnect(() => this.#schedule(0));
  }

  static async start(parts: LeaseParts): Promise<LeaseLoop> {
    const loop = new LeaseLoop(parts, await begin(parts));
    loop.#schedule(loop.#every);
    return loop;
  }

  get session(): Session {
    return this.#session;
  }

  /** Young enough to claim, and to start what was claimed. */
  get isFresh(): boolean {
    return this.#session.ageMs < this.#session.leaseMs * CLAIM_UNTIL;
  }

  /** Ends renewals and gives the session up: nothing may run any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#offReconnect();
    clearTimeout(this.#timer);
    await this.#turn;
    await this.#session.release();
  }

  get #every(): number {
    return this.#parts.config.leaseMs * RENEW;
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#turn ??= this.#renew()
        .then((isRenewed) => this.#schedule(isRenewed ? this.#every : this.#parts.config.leaseMs * RETRY))
        .finally(() => (this.#turn = undefined));
    }, delayMs);
  }

  async #renew(): Promise<boolean> {
    const { config } = this.#parts;
    try {
      if ((await this.#session.renew()) === "revoked") {
        config.log.warn({ session: this.#session.owner.session }, "this session was revoked: what ran under it is killed");
        await this.#parts.onRevoked();
        this.#session = await begin(this.#parts);
        return true;
      }
      this.#parts.armFreeze(freezeIn(this.#session));
      await this.#parts.onRenewed();
      return true;
    } catch (error) {
      if (!isNavvyError(error)) config.log.error({ err: error }, "renewal failed");
      return false; // not known: the next try finds out, and the freeze stands armed
    }
  }
}

async function begin(parts: LeaseParts): Promise<Session> {
  const session = await Session.open(parts.bus, { agent: parts.config.name, leaseMs: parts.config.leaseMs });
  parts.armFreeze(freezeIn(session));
  await parts.onSession(session);
  return session;
}

function freezeIn(session: Session): number {
  return Math.max(0, session.leaseMs * FREEZE_AT - session.ageMs);
}
