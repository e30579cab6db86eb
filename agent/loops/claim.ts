import { type Claim, type Navvy, type PulledMessage, Puller } from "../../broker/index.js";
import { decode, isNavvyError, type Lane, type Owner, Ticket } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import type { Slot, Slots } from "../slots.js";
import type { Lanes } from "./lanes.js";

export interface ClaimParts {
  navvy: Navvy;
  config: AgentConfig;
  slots: Slots;
  lanes: Lanes;
  owner: () => Owner;
  /** Draining, disconnected, out of disk: take nothing. */
  mayClaim: () => boolean;
  isHeld: (id: string) => boolean;
  /** A task is ours: run it. Frees the slot at its end. */
  onClaim: (claim: Claim, slot: Slot) => void;
}

const SWEEP_EVERY_MS = 15_000;
/** A pull sent right after an acknowledged publish can miss it (1 in some thousands): one more look after a ring. */
const SECOND_LOOK_MS = 30;
const LOWEST_FIRST_EVERY = 16;
const RETRY_MS = 200;
const SET_ASIDE_BYTES = 16 * 1024;

/**
 * Fills free slots: asks the lanes that fit for exactly as many tasks as there is room, never more.
 *
 * Idle agents park no pulls. A sweep is set off by the doorbell, a slot that got free, a reconnect, a changed queue, and
 * every 15 s. While all slots are taken the doorbell is not listened to, and what is left over is rung on.
 */
export class ClaimLoop {
  readonly #parts: ClaimParts;
  readonly #puller: Puller;
  readonly #offReconnect: () => void;
  readonly #timer: NodeJS.Timeout;
  readonly #bells = new Map<string, () => void>();
  #sweeping: Promise<void> | undefined;
  #isAskedAgain = false;
  #isStopped = false;
  #sweeps = 0;
  #first = 0;

  constructor(parts: ClaimParts) {
    this.#parts = parts;
    this.#puller = new Puller(parts.navvy.bus);
    this.#offReconnect = parts.navvy.bus.onReconnect(() => this.kick());
    this.#timer = setInterval(() => this.kick(), SWEEP_EVERY_MS * (0.8 + Math.random() * 0.4));
    this.kick();
  }

  /** Sweeps soon; calls while a sweep is under way make one more. */
  kick(): void {
    if (this.#isStopped) return;
    if (this.#sweeping) {
      this.#isAskedAgain = true;
      return;
    }
    this.#sweeping = this.#sweep()
      .catch((error: unknown) => {
        if (!isNavvyError(error)) this.#parts.config.log.error({ err: error }, "sweep failed");
      })
      .finally(() => {
        this.#sweeping = undefined;
        this.#listen();
        if (this.#isAskedAgain) {
          this.#isAskedAgain = false;
          this.kick();
        }
      });
  }

  /** Ends claiming; resolves when no claim is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    this.#offReconnect();
    this.#listen();
    this.#puller.close();
    await this.#sweeping;
  }

  async #sweep(): Promise<void> {
    const { slots, lanes, config } = this.#parts;
    const isFair = config.order === "fair";
    for (;;) {
      if (this.#isStopped || !slots.hasRoom || !this.#parts.mayClaim()) return;
      const lowestFirst = ++this.#sweeps % LOWEST_FIRST_EVERY === 0;
      let found = false;
      for (const lane of lanes.inOrder({ first: isFair ? this.#first : 0, lowestFirst })) {
        const taken = await this.#ask(lane, isFair);
        if (!taken) continue;
        found = true;
        this.#first = (config.serves.indexOf(lane.queue) + 1) % config.serves.length;
        if (isFair) break; // the next queue's turn
      }
      if (!found) return;
    }
  }

  /** One pull; true when a message came. */
  async #ask(lane: Lane, one: boolean): Promise<boolean> {
    const { slots, navvy } = this.#parts;
    const room = slots.fits(lane) ? slots.room(lane) : 0;
    if (room < 1 || this.#isStopped || !this.#parts.mayClaim()) return false;
    const claims: Promise<void>[] = [];
    let left = 0;
    await this.#puller.pull({
      stream: navvy.bus.assets.streams.queue.name,
      consumer: navvy.bus.subjects.laneConsumer(lane),
      batch: one ? 1 : room,
      expiresMs: 0,
      onMessage: (message) => {
        left = message.pending;
        claims.push(this.#take(lane, message));
      },
    });
    await Promise.all(claims);
    if (left > 0 && slots.room(lane) < 1) navvy.queues.ring(lane.queue); // more is waiting than fits here: wake another agent
    return claims.length > 0;
  }

  async #take(lane: Lane, message: PulledMessage): Promise<void> {
    const slot = this.#parts.slots.take(lane);
    if (!slot) return message.nak();
    let claim: Claim | undefined;
    try {
      claim = await this.#claim(lane, message);
    } catch (error) {
      message.nak();
      this.#parts.slots.free(slot);
      throw error;
    }
    message.ack(); // also a stale one: the record is the truth, and it says no
    if (claim) this.#parts.onClaim(claim, slot);
    else this.#parts.slots.free(slot);
  }

  /** Claims, over outages: an answer that was lost may have been a yes, so it is asked until it is known. */
  async #claim(lane: Lane, message: PulledMessage): Promise<Claim | undefined> {
    const { navvy, owner, isHeld } = this.#parts;
    const ticket = this.#read(lane, message);
    if (!ticket) return undefined;
    const session = owner();
    for (;;) {
      try {
        return await navvy.tasks.claims.claim(ticket, session, isHeld);
      } catch (error) {
        if (isNavvyError(error, "newer_version") || isNavvyError(error, "unreadable")) return this.#setAside(lane, message, error);
        if (!isNavvyError(error) || !error.retryable || owner().session !== session.session || navvy.bus.nc.isClosed()) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  #read(lane: Lane, message: PulledMessage): Ticket | undefined {
    try {
      return decode(Ticket, message.data, `message ${message.sequence} on ${message.subject}`);
    } catch (error) {
      return this.#setAside(lane, message, error);
    }
  }

  /** A message that is not ours, or of a newer navvy, is taken off the queue with its bytes kept in an event. */
  #setAside(lane: Lane, message: PulledMessage, error: unknown): undefined {
    const { navvy, config } = this.#parts;
    const reason = (error as Error).message;
    config.log.warn({ queue: lane.queue, sequence: message.sequence, reason }, "a message was set aside");
    const bytes = Buffer.from(message.data);
    navvy.events.emit({
      kind: "queue",
      id: lane.queue,
      event: "set_aside",
      reason,
      by: config.name,
      key: message.sequence,
      data: {
        subject: message.subject,
        sequence: message.sequence,
        sizeBytes: bytes.length,
        base64: bytes.subarray(0, SET_ASIDE_BYTES).toString("base64"),
      },
    });
    return undefined;
  }

  /** Listens to the doorbells of those queues that there is room for. */
  #listen(): void {
    const { navvy, slots, config } = this.#parts;
    for (const queue of config.serves) {
      const wants = !this.#isStopped && slots.room({ queue, class: "normal", shape: "cpu" }) > 0;
      const bell = this.#bells.get(queue);
      if (wants && !bell)
        this.#bells.set(
          queue,
          navvy.queues.onRing(queue, () => this.#rung()),
        );
      if (wants || !bell) continue;
      bell();
      this.#bells.delete(queue);
    }
  }

  #rung(): void {
    this.kick();
    setTimeout(() => this.kick(), SECOND_LOOK_MS);
  }
}
