import type { LogStream } from "../../protocol/index.js";

export type PerStream = Record<LogStream, number>;

/** What is kept of the end when the disk is short. */
const SQUEEZED_BYTES = 2 ** 20;

/**
 * How much of an attempt's log is kept: the first half of the limit as it comes, the other half from the end; between them bytes are
 * left out. Streams share it: none that prints little loses anything to one that prints much.
 */
export class LogLimit {
  readonly headBytes: number;
  #tailBytes: number;

  constructor(limitBytes: number) {
    this.headBytes = Math.ceil(limitBytes / 2);
    this.#tailBytes = Math.floor(limitBytes / 2);
  }

  /** Keeps less of the end from now on. */
  squeeze(): void {
    this.#tailBytes = Math.min(this.#tailBytes, SQUEEZED_BYTES);
  }

  /** Where in each stream the end begins that is kept. @param from what is stored already @param sizes what there is */
  tails(from: PerStream, sizes: PerStream): PerStream {
    const starts = { ...from };
    const bySize = (["out", "err", "navvy"] as const).toSorted((a, b) => sizes[a] - from[a] - (sizes[b] - from[b]));
    let room = this.#tailBytes;
    bySize.forEach((stream, i) => {
      const kept = Math.min(Math.max(0, sizes[stream] - from[stream]), Math.floor(room / (bySize.length - i)));
      starts[stream] = Math.max(from[stream], sizes[stream] - kept);
      room -= kept;
    });
    return starts;
  }
}
