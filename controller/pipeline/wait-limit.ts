import type { TaskRecord } from "../../protocol/index.js";

/** Ends a task that stands on its queue for too long. */
export class WaitLimit {
  readonly #limitMs: number | undefined;
  readonly #onLate: (reason: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #enqueuedAt: string | undefined;

  constructor(limitMs: number | undefined, onLate: (reason: string) => void) {
    this.#limitMs = limitMs;
    this.#onLate = onLate;
  }

  /**
   * Counts from when it was put on its queue: by the record, so that a run that goes on elsewhere counts on.
   * @returns when it is over, epoch milliseconds; undefined: never
   */
  see({ status, enqueuedAt, notBefore }: TaskRecord): number | undefined {
    if (this.#limitMs === undefined) return undefined;
    if (status !== "queued") return void this.close();
    const over = Math.max(Date.parse(enqueuedAt ?? ""), Date.parse(notBefore ?? "") || 0) + this.#limitMs;
    if (enqueuedAt === this.#enqueuedAt) return over;
    this.close();
    this.#enqueuedAt = enqueuedAt;
    const reason = `it stood on its queue for more than ${this.#limitMs / 1000} s`;
    this.#timer = setTimeout(() => this.#onLate(reason), Math.min(Math.max(0, over - Date.now()), 2 ** 31 - 1));
    return over;
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
