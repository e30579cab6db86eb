import { type Claim, type Navvy, type PulledMessage, Puller } from "../../broker/index.js";
import { decode, isNavvyError, type Lane, needsOfLane, type Owner, Ticket } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import type { Slot, Slots } from "../slots.js";
import { Claiming } from "./claiming.js";
import { type Bell, Doorbells } from "./doorbells.js";
import { LaneHeads } from "./lane-heads.js";
import type { Lanes } from "./lanes.js";
import { setAside } from "./set-aside.js";

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

/** What pulls have brought: the claims under way, and the lanes on which more waits. */
interface Haul {
  claims: Promise<void>[];
  left: Set<Lane>;
}

const SWEEP_EVERY_MS = 15_000;
/** A pull sent right after an acknowledged publish can miss it (1 in some thousands): one more look after a ring. */
const SECOND_LOOK_MS = 30;
/** Whoever makes a lane publishes on it right after: its doorbell may ring before it is listened to. */
const NEW_LANE_LOOKS_MS = [50, 500];
/** How long GPUs may keep a sweep waiting to be looked at; one that takes longer sets off another sweep. */
const GPU_LOOK_MS = 1_000;
const LOWEST_FIRST_EVERY = 16;

/**
 * Fills free slots: asks the lanes that fit for exactly as many tasks as there is room, never more.
 *
 * Of one class and queue the oldest task that fits goes first, whatever its shape: where several lanes fit, their heads are
 * compared. One that does not fit is passed over and keeps nobody waiting.
 *
 * Idle agents park no pulls. A sweep is set off by the doorbell, a slot that got free, a reconnect, a changed queue, and
 * every 15 s. While all slots are taken the doorbell is not listened to, and what is left over is rung on.
 */
export class ClaimLoop {
  readonly #parts: ClaimParts;
  readonly #puller: Puller;
  readonly #offReconnect: () => void;
  readonly #timer: NodeJS.Timeout;
  readonly #doorbells: Doorbells;
  readonly #heads: LaneHeads;
  /** Rings that the sweep under way, or the next one, is for. */
  readonly #rang = new Set<Bell>();
  /** Plain shapes that can ever fit this machine. */
  readonly #shapes: string[];
  readonly #claiming: Claiming;
  #mightClaim = true;
  #sweeping: Promise<void> | undefined;
  #isAskedAgain = false;
  #isStopped = false;
  /** Those that found something: only they keep a lower class waiting. */
  #sweeps = 0;
  #first = 0;

  constructor(parts: ClaimParts) {
    this.#parts = parts;
    this.#puller = new Puller(parts.navvy.bus);
    this.#doorbells = new Doorbells(parts.navvy, (bell) => this.#rung(bell));
    this.#heads = new LaneHeads(parts.navvy);
    this.#claiming = new Claiming(parts, () => this.#isStopped);
    this.#shapes = parts.slots.shapes();
    this.#offReconnect = parts.navvy.bus.onReconnect(() => {
      this.#heads.forget();
      this.kick();
    });
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
        this.#passOn();
        if (this.#isAskedAgain) {
          this.#isAskedAgain = false;
          this.kick();
        }
      });
  }

  /** Looks again at whether work may be taken: after a drain, a resume, a renewal, a look at the disk. */
  refresh(): void {
    const mayClaim = this.#parts.mayClaim();
    if (mayClaim && !this.#mightClaim) this.kick();
    this.#mightClaim = mayClaim;
    this.#listen();
  }

  /** Lanes are there that were not, or whose queue was paused. */
  lanesChanged(lanes: Lane[]): void {
    this.#listen();
    if (!lanes.some((lane) => this.#parts.slots.room(lane) > 0)) return;
    this.kick();
    for (const delayMs of NEW_LANE_LOOKS_MS) setTimeout(() => this.kick(), delayMs).unref();
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
      const lowestFirst = (this.#sweeps + 1) % LOWEST_FIRST_EVERY === 0;
      let found = false;
      for (const group of lanes.inOrder({ first: isFair ? this.#first : 0, lowestFirst })) {
        const taken = await this.#askGroup(group, isFair);
        if (!taken) continue;
        found = true;
        this.#first = (config.serves.indexOf(group[0]?.queue ?? "") + 1) % config.serves.length;
        if (isFair) break; // the next queue's turn
      }
      if (!found) return;
      this.#sweeps++;
    }
  }

  /** Asks the lanes of one class and queue; true when a message came. */
  async #askGroup(group: Lane[], one: boolean): Promise<boolean> {
    const open = group.filter((lane) => this.#parts.slots.room(lane) > 0);
    const [only] = open;
    if (only === undefined) return false;
    const haul: Haul = { claims: [], left: new Set() };
    try {
      // The usual case, in one round trip. GPUs are looked at only for a task that is there.
      if (open.length === 1 && !wantsGpus(only)) await this.#pull(only, one, haul);
      else await this.#pullOldestFirst(open, one, haul);
    } finally {
      // More is waiting than fits here: wake another agent.
      for (const lane of haul.left) if (this.#parts.slots.room(lane) < 1) this.#parts.navvy.queues.ring(lane);
      await Promise.all(haul.claims);
    }
    return haul.claims.length > 0;
  }

  async #pullOldestFirst(lanes: Lane[], one: boolean, haul: Haul): Promise<void> {
    const { slots } = this.#parts;
    const pass = await this.#heads.open(lanes);
    let hasLooked = false;
    for (;;) {
      const oldest = await pass.next((lane) => slots.room(lane) > 0);
      if (oldest === undefined) return;
      const { lane, isOnly } = oldest;
      if (wantsGpus(lane) && !hasLooked) {
        await slots.look(GPU_LOOK_MS);
        hasLooked = true;
        continue; // there may be less room than it seemed
      }
      const sequence = await this.#pull(lane, one || !isOnly, haul);
      if (one || isOnly) return;
      pass.took(lane, sequence);
    }
  }

  /** One pull, for as many as there is room or for one. @returns the last message's sequence */
  async #pull(lane: Lane, one: boolean, haul: Haul): Promise<number | undefined> {
    const { slots, navvy } = this.#parts;
    const room = slots.room(lane);
    if (room < 1 || this.#isStopped || !this.#parts.mayClaim()) return undefined;
    let last: PulledMessage | undefined;
    await this.#puller.pull({
      stream: navvy.bus.assets.streams.queue.name,
      consumer: navvy.bus.subjects.laneConsumer(lane),
      batch: one ? 1 : room,
      expiresMs: 0,
      onMessage: (message) => {
        last = message;
        haul.claims.push(this.#take(lane, message));
        haul.left[message.pending > 0 ? "add" : "delete"](lane);
      },
    });
    return (last as PulledMessage | undefined)?.sequence;
  }

  async #take(lane: Lane, message: PulledMessage): Promise<void> {
    const ticket = this.#read(lane, message);
    if (ticket === undefined) return message.ack(); // it was set aside
    const slot = this.#parts.slots.take(lane, ticket.id);
    if (!slot) {
      message.nak();
      return this.#parts.navvy.queues.ring(lane);
    }
    // A second message for a task whose claim is under way is as stale as one for a task that runs.
    const claim = this.#claiming.has(ticket.id) ? undefined : await this.#claiming.claim(lane, message, { ticket, slot });
    if (claim === "unknown") message.nak();
    else message.ack(); // also a stale one: the record is the truth, and it says no
    if (claim && claim !== "unknown") this.#parts.onClaim(claim, slot);
    else this.#parts.slots.free(slot);
  }

  #read(lane: Lane, message: PulledMessage): Ticket | undefined {
    try {
      return decode(Ticket, message.data, `message ${message.sequence} on ${message.subject}`);
    } catch (error) {
      setAside(this.#parts, lane, { message, error });
      return undefined;
    }
  }

  /** Listens to the doorbells of what there is room for, while work is taken at all. */
  #listen(): void {
    const { slots, config, lanes } = this.#parts;
    const mayClaim = !this.#isStopped && this.#parts.mayClaim();
    const known = config.serves.flatMap((queue) => lanes.shapesOf(queue));
    const bells: Bell[] = [...config.serves.flatMap((queue) => this.#shapes.map((shape) => ({ queue, shape }))), ...known];
    const open = mayClaim ? bells.filter((bell) => slots.room({ ...bell, class: "normal" }) > 0) : [];
    // What came between the last look and now has rung where nobody listened.
    if (this.#doorbells.set(open, { keepsHashed: mayClaim })) this.#lookAgain();
  }

  /** A ring that came while the last slot was being taken is for someone else: by now this agent no longer listens. */
  #passOn(): void {
    const { slots } = this.#parts;
    for (const bell of this.#rang) if (this.#isStopped || slots.room({ ...bell, class: "normal" }) < 1) this.#doorbells.passOn(bell);
    this.#rang.clear();
  }

  #rung(bell: Bell): void {
    if (this.#parts.slots.room({ ...bell, class: "normal" }) < 1) return this.#doorbells.passOn(bell);
    this.#rang.add(bell);
    this.kick();
    this.#lookAgain();
  }

  #lookAgain(): void {
    setTimeout(() => this.kick(), SECOND_LOOK_MS);
  }
}

function wantsGpus(lane: Lane): boolean {
  return (needsOfLane(lane)?.gpus ?? 0) > 0;
}
