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

  /** Counts from when it was put on its queue: by the record, so that a run that goes on elsewhere counts on. */
  see({ status, enqueuedAt, notBefore, parked }: TaskRecord): void {
    if (this.#limitMs === undefined) return;
    if (status !== "queued" || parked) return this.close();
    if (enqueuedAt === this.#enqueuedAt) return;
    this.close();
    this.#enqueuedAt = enqueuedAt;
    const from = Math.max(Date.parse(enqueuedAt ?? ""), Date.parse(notBefore ?? "") || 0);
    const leftMs = Math.max(0, from + this.#limitMs - Date.now());
    const reason = `it stood on its queue for more than ${this.#limitMs / 1000} s`;
    this.#timer = setTimeout(() => this.#onLate(reason), Math.min(leftMs, 2 ** 31 - 1));
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
