import type { Logger } from "pino";
import { giveBackDisk } from "../host/give-back-disk.js";
import type { PerStream } from "./log-limit.js";

const MIB = 2 ** 20;
/** Less than that is not worth a program's start; where the disk is short it is. */
const GRAIN_BYTES = 64 * MIB;
const SHORT_GRAIN_BYTES = MIB;
/** The last lines before what is given back are still looked at: by an agent that adopts the attempt. */
const KEPT_BYTES = 64 * 1024;

let isTold = false;

/** Gives the disk under an attempt's spool files back as far as nobody needs them any more. Most tasks never get here. */
export class SpoolRoom {
  readonly #paths: PerFile;
  readonly #log: Logger;
  readonly #givenBack: PerStream = { out: 0, err: 0, navvy: 0 };
  #grainBytes = GRAIN_BYTES;

  constructor(paths: PerFile, log: Logger) {
    this.#paths = paths;
    this.#log = log;
  }

  /** Also small parts from now on. */
  squeeze(): void {
    this.#grainBytes = SHORT_GRAIN_BYTES;
  }

  /** @param needed from where on each file may be read again, also after this agent's death */
  async giveBack(needed: PerStream): Promise<void> {
    for (const stream of ["out", "err", "navvy"] as const) {
      const from = this.#givenBack[stream];
      const to = needed[stream] - KEPT_BYTES;
      if (to - from < this.#grainBytes) continue;
      this.#givenBack[stream] = to;
      const reason = await giveBackDisk(this.#paths[stream], { from, to });
      if (reason !== undefined) this.#tell(reason);
    }
  }

  #tell(reason: string): void {
    if (isTold) return;
    isTold = true;
    this.#log.warn({ reason }, "the disk under what is stored of a task's output can not be given back before its end");
  }
}

type PerFile = Record<keyof PerStream, string>;
