import type { Logger } from "pino";
import type { Navvy } from "../../broker/index.js";
import type { Beat, Gpu } from "../../protocol/index.js";
import type { Machine } from "../host/machine.js";

export interface BeatParts {
  navvy: Navvy;
  machine: Machine;
  /** Everything of the beat that is not the machine's. */
  view: () => Omit<Beat, "type" | "at" | "cpu" | "memory" | "disk" | "network" | "gpus">;
  /** What is to be said of a GPU beside its figures. */
  gpuView: (gpu: Gpu) => Partial<Gpu>;
  onSample: (sample: Pick<Beat, "disk" | "memory">) => void;
  log: Logger;
}

const EVERY_MS = 2_000;
const KEEP_EVERY = 15;

/** The agent's public sign of life: for people and charts, never for leases. */
export class BeatLoop {
  readonly #parts: BeatParts;
  readonly #timer: NodeJS.Timeout;
  #count = 0;
  #sampling = false;
  #last: Beat | undefined;

  constructor(parts: BeatParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.beatSoon(), EVERY_MS);
  }

  /** The latest figures, with what runs right now. */
  get latest(): Beat | undefined {
    return this.#last && { ...this.#last, ...this.#parts.view(), gpus: this.#gpus(this.#last.gpus), at: new Date().toISOString() };
  }

  /** Like `beat`, for those who do not wait for it: a beat that fails is followed by the next one. */
  beatSoon(): void {
    this.beat().catch((error: unknown) => this.#parts.log.warn({ err: error }, "a beat failed"));
  }

  /** Samples the machine and publishes; a sample that takes longer than a beat skips one. */
  async beat(): Promise<void> {
    if (this.#sampling) return;
    this.#sampling = true;
    try {
      const sample = await this.#parts.machine.sample();
      this.#parts.onSample(sample);
      this.#last = { type: "navvy.beat.v1", at: new Date().toISOString(), ...this.#parts.view(), ...sample, gpus: this.#gpus(sample.gpus) };
      this.#parts.navvy.fleet.beat(this.#last, { keep: this.#count++ % KEEP_EVERY === 0 });
    } finally {
      this.#sampling = false;
    }
  }

  #gpus(gpus: Gpu[]): Gpu[] {
    return gpus.map(({ heldBy: _heldBy, asideReason: _asideReason, ...gpu }) => ({ ...gpu, ...this.#parts.gpuView(gpu) }));
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
