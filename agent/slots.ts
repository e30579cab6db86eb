import { type Gpu, type Lane, misfitsOf, type Needs, needsOfLane, type Offer, SERVICES_QUEUE, shapeOf, suits } from "../protocol/index.js";
import { deviceOf, type GpuDevice } from "./slot-gpus.js";

export type Pool = "compute" | "service";

/** What a running task has asked for and holds, beside its GPUs. */
export interface Reserved {
  cpus: number;
  memoryBytes: number;
  diskBytes: number;
}

/** A slot that is held, with what goes with it. It stands in the host journal as it is. */
export interface Slot {
  pool: Pool;
  /** Their numbers on this machine. */
  gpus: number[];
  /** How its task is to find them; absent without GPUs, and in the journal of an earlier navvy. */
  devices?: GpuDevice[];
  /** Absent: nothing beside the slot and its GPUs. */
  reserved?: Reserved;
}

/** What a machine has to give, with its GPUs as they are. */
export interface SlotsOffer extends Offer {
  gpus: readonly Gpu[];
}

/** Says which GPUs may be given out at all, and keeps others on the host from those that are. */
export interface GpuKeeper {
  /** Why a GPU is given to nobody just now; undefined: it can be. */
  whyNot(gpu: Gpu): string | undefined;
  /** The same for people: without what passes in a moment. */
  whyAside(gpu: Gpu): string | undefined;
  /** Looks anew where what is known of the free ones is too old. Waits no longer than that; never rejects. */
  look(limitMs: number): Promise<void>;
  /** The GPU as its task is to find it; undefined when someone else on the host was faster. */
  hold(gpu: Gpu, task: string): GpuDevice | undefined;
  /** For a task of an earlier run of this agent, which has it whatever may be said against that. */
  keep(gpu: Gpu, task: string): void;
  release(gpu: Gpu): void;
}

/** Keeps nobody from anything: for machines without GPUs, and for simulations. */
export const OPEN_KEEPER: GpuKeeper = {
  whyNot: () => undefined,
  whyAside: () => undefined,
  look: async () => {},
  hold: (gpu) => deviceOf(gpu),
  keep: () => {},
  release: () => {},
};

/** What a shape asks for, whether it can ever fit here, and the GPUs that suit it: the large ones last, for who needs them. */
interface Match {
  needs: Needs;
  isFit: boolean;
  gpus: Gpu[];
}

/** Parts of a processor do not add up exactly. */
const ROUNDING = 1e-9;

/**
 * Room for tasks on this machine: two pools of slots, the GPUs, each given to one task at a time, and what running tasks
 * have asked for of processors, memory and disk. A task that asks for nothing takes just a slot.
 */
export class Slots {
  readonly total: Record<Pool, number>;
  readonly used: Record<Pool, number> = { compute: 0, service: 0 };
  #offer: SlotsOffer;
  readonly #keeper: GpuKeeper;
  /** By its number: the task that holds a GPU. */
  readonly #holders = new Map<number, string>();
  readonly #reserved = new Set<Reserved>();
  readonly #matches = new Map<string, Match>();
  #diskFreeBytes: number | undefined;

  constructor(total: Record<Pool, number>, offer: SlotsOffer, keeper: GpuKeeper = OPEN_KEEPER) {
    this.total = total;
    this.#offer = offer;
    this.#keeper = keeper;
  }

  static poolOf(queue: string): Pool {
    return queue === SERVICES_QUEUE ? "service" : "compute";
  }

  /** A container engine came, or went. */
  offerContainers(has: boolean): void {
    this.#offer = { ...this.#offer, container: has };
    this.#matches.clear();
  }

  /** Labels, and names of secrets. */
  offerLabels(labels: Readonly<Record<string, string>>): void {
    this.#offer = { ...this.#offer, labels };
    this.#matches.clear();
  }

  /** How many tasks of a lane fit right now. */
  room(lane: Lane): number {
    const pool = Slots.poolOf(lane.queue);
    const free = this.total[pool] - this.used[pool];
    const match = free > 0 ? this.#match(lane) : undefined;
    if (!match?.isFit) return 0;
    const { needs } = match;
    const { cpus, memoryBytes, diskBytes } = this.reserved;
    const diskLeft = (this.#diskFreeBytes ?? Number.POSITIVE_INFINITY) - diskBytes;
    return Math.min(
      free,
      times(this.#offer.cpus - cpus, needs.cpus),
      times(this.#offer.memoryBytes - memoryBytes, needs.memoryBytes),
      times(diskLeft, needs.diskBytes),
      needs.gpus > 0 ? Math.floor(this.#freeGpus(match).length / needs.gpus) : free,
    );
  }

  /** Whether a lane's tasks could ever run here. */
  fits(lane: Lane): boolean {
    return this.total[Slots.poolOf(lane.queue)] > 0 && (this.#match(lane)?.isFit ?? false);
  }

  /** Every plain shape that could ever fit here: doorbells that are listened to before any lane is known. */
  shapes(): string[] {
    return ["cpu", ...this.#offer.gpus.map((_, i) => shapeOf({ gpus: i + 1 }))];
  }

  /** Before GPUs are given out: what is known of the free ones is recent when it resolves, or they are not given out. */
  look(limitMs: number): Promise<void> {
    return this.#keeper.look(limitMs);
  }

  /** Holds a slot for a task; undefined when there is no room. */
  take(lane: Lane, task = ""): Slot | undefined {
    const match = this.#match(lane);
    if (!match || this.room(lane) < 1) return undefined;
    const { needs } = match;
    const gpus = needs.gpus > 0 ? this.#takeGpus(match, task) : [];
    if (gpus === undefined) return undefined;
    const { cpus = 0, memoryBytes = 0, diskBytes = 0 } = needs;
    const pool = Slots.poolOf(lane.queue);
    return this.#taken({
      pool,
      gpus: gpus.map((device) => device.index),
      ...(gpus.length > 0 ? { devices: gpus } : {}),
      ...(cpus + memoryBytes + diskBytes > 0 ? { reserved: { cpus, memoryBytes, diskBytes } } : {}),
    });
  }

  /** Goes on holding a slot, also where it would not fit any more: what runs there runs. */
  hold(slot: Slot, task = ""): Slot {
    for (const index of slot.gpus) {
      const gpu = this.#gpu(index);
      if (gpu) this.#keeper.keep(gpu, task);
      this.#holders.set(index, task);
    }
    return this.#taken(slot);
  }

  free(slot: Slot): void {
    this.used[slot.pool]--;
    if (slot.reserved) this.#reserved.delete(slot.reserved);
    for (const index of slot.gpus) {
      const gpu = this.#gpu(index);
      this.#holders.delete(index);
      if (gpu) this.#keeper.release(gpu);
    }
  }

  /** How much of the disk is free, as last measured. */
  see({ diskFreeBytes }: { diskFreeBytes: number }): void {
    this.#diskFreeBytes = diskFreeBytes;
  }

  /** What running tasks hold beside slots and GPUs. */
  get reserved(): Reserved {
    const sum: Reserved = { cpus: 0, memoryBytes: 0, diskBytes: 0 };
    for (const { cpus, memoryBytes, diskBytes } of this.#reserved) {
      sum.cpus += cpus;
      sum.memoryBytes += memoryBytes;
      sum.diskBytes += diskBytes;
    }
    return sum;
  }

  /** What a beat says of a GPU beside its figures. */
  viewOf(gpu: Gpu): Pick<Gpu, "heldBy" | "asideReason"> {
    const heldBy = this.#holders.get(gpu.index);
    if (heldBy !== undefined) return { heldBy };
    const asideReason = this.#keeper.whyAside(gpu);
    return asideReason === undefined ? {} : { asideReason };
  }

  get hasRoom(): boolean {
    return this.used.compute < this.total.compute || this.used.service < this.total.service;
  }

  get isIdle(): boolean {
    return this.used.compute + this.used.service === 0;
  }

  #gpu(index: number): Gpu | undefined {
    return this.#offer.gpus.find((gpu) => gpu.index === index);
  }

  /** Asked for every lane in every sweep, and the same as long as the agent is what it is. */
  #match(lane: Lane): Match | undefined {
    const known = this.#matches.get(lane.shape);
    if (known) return known;
    const needs = needsOfLane(lane);
    if (!needs) return undefined;
    const gpus = this.#offer.gpus.filter((gpu) => suits(needs, gpu)).sort((a, b) => (a.memoryTotalBytes ?? 0) - (b.memoryTotalBytes ?? 0));
    const match = { needs, isFit: misfitsOf(needs, this.#offer).length === 0, gpus };
    this.#matches.set(lane.shape, match);
    return match;
  }

  #freeGpus({ gpus }: Match): Gpu[] {
    return gpus.filter((gpu) => !this.#holders.has(gpu.index) && this.#keeper.whyNot(gpu) === undefined);
  }

  #takeGpus(match: Match, task: string): GpuDevice[] | undefined {
    const devices: GpuDevice[] = [];
    for (const gpu of this.#freeGpus(match)) {
      const device = this.#keeper.hold(gpu, task);
      if (device) devices.push(device);
      if (devices.length === match.needs.gpus) break;
    }
    if (devices.length === match.needs.gpus) {
      for (const { index } of devices) this.#holders.set(index, task);
      return devices;
    }
    for (const { index } of devices) {
      const gpu = this.#gpu(index);
      if (gpu) this.#keeper.release(gpu);
    }
    return undefined;
  }

  #taken(slot: Slot): Slot {
    this.used[slot.pool]++;
    if (slot.reserved) this.#reserved.add(slot.reserved);
    return slot;
  }
}

function times(left: number, each: number | undefined): number {
  return each === undefined ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor(left / each + ROUNDING));
}
