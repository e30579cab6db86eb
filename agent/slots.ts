import { type Lane, parseShape, SERVICES_QUEUE, shapeOf } from "../protocol/index.js";

export type Pool = "compute" | "service";

/** A slot that is held, with the GPUs that go with it. */
export interface Slot {
  pool: Pool;
  gpus: number[];
}

/** Room for tasks on this machine: two pools of slots, and the GPUs, each given to one task at a time. */
export class Slots {
  readonly total: Record<Pool, number>;
  readonly used: Record<Pool, number> = { compute: 0, service: 0 };
  readonly #freeGpus: Set<number>;
  readonly #gpuCount: number;

  constructor(total: Record<Pool, number>, gpus: number[]) {
    this.total = total;
    this.#freeGpus = new Set(gpus);
    this.#gpuCount = gpus.length;
  }

  static poolOf(queue: string): Pool {
    return queue === SERVICES_QUEUE ? "service" : "compute";
  }

  /** How many tasks of a lane fit right now. */
  room(lane: Lane): number {
    const pool = Slots.poolOf(lane.queue);
    const free = this.total[pool] - this.used[pool];
    const wants = parseShape(lane.shape);
    if (!wants || free <= 0) return 0;
    return wants.gpus === 0 ? free : Math.min(free, Math.floor(this.#freeGpus.size / wants.gpus));
  }

  /** Whether a lane's tasks could ever run here. */
  fits(lane: Lane): boolean {
    const wants = parseShape(lane.shape);
    return wants !== undefined && wants.gpus <= this.#gpuCount && this.total[Slots.poolOf(lane.queue)] > 0;
  }

  /** Every shape that could ever fit here. */
  shapes(): string[] {
    return ["cpu", ...Array.from({ length: this.#gpuCount }, (_, i) => shapeOf({ gpus: i + 1 }))];
  }

  /** Holds a slot; undefined when there is no room. */
  take(lane: Lane): Slot | undefined {
    if (this.room(lane) < 1) return undefined;
    const pool = Slots.poolOf(lane.queue);
    const gpus = [...this.#freeGpus].slice(0, parseShape(lane.shape)?.gpus ?? 0);
    for (const gpu of gpus) this.#freeGpus.delete(gpu);
    this.used[pool]++;
    return { pool, gpus };
  }

  /** Goes on holding a slot, also where it would not fit any more: what runs there runs. */
  hold(slot: Slot): Slot {
    for (const gpu of slot.gpus) this.#freeGpus.delete(gpu);
    this.used[slot.pool]++;
    return slot;
  }

  free(slot: Slot): void {
    this.used[slot.pool]--;
    for (const gpu of slot.gpus) this.#freeGpus.add(gpu);
  }

  get hasRoom(): boolean {
    return this.used.compute < this.total.compute || this.used.service < this.total.service;
  }

  get isIdle(): boolean {
    return this.used.compute + this.used.service === 0;
  }
}
