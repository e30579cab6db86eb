import type { Claim, PulledMessage } from "../../broker/index.js";
import { isNavvyError, type Lane, type NavvyError, type Owner, type Ticket } from "../../protocol/index.js";
import { devicesOf } from "../slot-gpus.js";
import type { Slot } from "../slots.js";
import type { ClaimParts } from "./claim.js";
import { setAside } from "./set-aside.js";

/** A ticket, and the slot that is held for its task. */
interface Taking {
  ticket: Ticket;
  slot: Slot;
}

const RETRY_MS = 200;

/** Makes claims: one compare-and-set each, repeated until it is known how it went. */
export class Claiming {
  readonly #parts: ClaimParts;
  readonly #isStopped: () => boolean;
  /** Tasks whose claim is under way. */
  readonly #underWay = new Set<string>();

  constructor(parts: ClaimParts, isStopped: () => boolean) {
    this.#parts = parts;
    this.#isStopped = isStopped;
  }

  has(id: string): boolean {
    return this.#underWay.has(id);
  }

  /** Claims, over outages: an answer that was lost may have been a yes, so it is asked until it is known. */
  async claim(lane: Lane, message: PulledMessage, { ticket, slot }: Taking): Promise<Claim | "unknown" | undefined> {
    const { navvy, owner } = this.#parts;
    const session = owner();
    const isOver = () => this.#isStopped() || owner().session !== session.session || navvy.bus.nc.isClosed();
    this.#underWay.add(ticket.id);
    try {
      do {
        const claim = await this.#try(lane, { ticket, slot }, session);
        if (!(claim instanceof Error)) return claim;
        if (!isNavvyError(claim)) return "unknown";
        if (!claim.retryable) return await this.#refuse(lane, message, { ticket, error: claim });
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      } while (!isOver());
      return "unknown";
    } finally {
      this.#underWay.delete(ticket.id);
    }
  }

  async #try(lane: Lane, { ticket, slot }: Taking, session: Owner): Promise<Claim | undefined | Error> {
    const { navvy, isHeld, config, lanes } = this.#parts;
    try {
      return await navvy.tasks.claims.claim(ticket, session, { isHeld, gpus: devicesOf(slot)?.ids, ...lanes.defaultsOf(lane.queue) });
    } catch (error) {
      if (!isNavvyError(error)) config.log.error({ err: error, task: ticket.id }, "a claim failed");
      return error as Error;
    }
  }

  /** A claim that can never work must not stand in the way of what waits behind it. */
  async #refuse(lane: Lane, message: PulledMessage, { ticket, error }: { ticket: Ticket; error: NavvyError }): Promise<undefined> {
    setAside(this.#parts, lane, { message, error });
    if (error.code === "newer_version" || error.code === "unreadable") return; // not ours to judge
    await this.#parts.navvy.tasks.claims.refuse(ticket, error.message).catch((cause: unknown) => {
      this.#parts.config.log.error({ err: cause, task: ticket.id }, "a task that can not be claimed could not be failed either");
    });
  }
}
